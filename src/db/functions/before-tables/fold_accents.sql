-- A text as searches compare it: compatibility forms are resolved, accents removed and letters lower case,
-- independent of the locale of the database. Latin, Greek, Cyrillic and Armenian letters are named here
-- because lower() leaves them as they are under LC_CTYPE C.
CREATE OR REPLACE FUNCTION fold_accents(content text) RETURNS text LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE STRICT AS $$
BEGIN
  IF octet_length(content) = char_length(content) THEN
    RETURN lower(content COLLATE "C");
  END IF;
  content := lower(normalize(content, NFKD) COLLATE "C");
  content := lower(normalize(regexp_replace(content, '[\u0300-\u036f]', '', 'g'), NFC));
  content := replace(replace(replace(replace(content, 'ß', 'ss'), 'ẞ', 'ss'), 'æ', 'ae'), 'œ', 'oe');
  RETURN translate(replace(replace(content, 'Æ', 'ae'), 'Œ', 'oe'),
    'ØøŁłĐđÐðĦħŦŧıΑΒΓΔΕΖΗΘΙΚΛΜΝΞΟΠΡΣςΤΥΦΧΨΩАБВГДЕЖЗИКЛМНОПРСТУФХЦЧШЩЪЫЬЭЮЯЂЄЅІЈЉЊЋЏҐԱԲԳԴԵԶԷԸԹԺԻԼԽԾԿՀՁՂՃՄՅՆՇՈՉՊՋՌՍՎՏՐՑՒՓՔՕՖ',
    'oollddddhhttiαβγδεζηθικλμνξοπρσστυφχψωабвгдежзиклмнопрстуфхцчшщъыьэюяђєѕіјљњћџґաբգդեզէըթժիլխծկհձղճմյնշոչպջռսվտրցւփքօֆ');
END
$$;
