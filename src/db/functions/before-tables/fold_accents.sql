-- A text as searches compare it: invisible characters and accents are removed, compatibility forms are resolved and
-- letters are lower case, independent of the locale of the database. A zero-width space separates words, and so does
-- a trade mark sign, which would otherwise become two letters of the word before it (search-words.ts). Latin, Greek, Cyrillic and Armenian letters are named here
-- because lower() leaves them as they are under LC_CTYPE C.
CREATE OR REPLACE FUNCTION fold_accents(content text) RETURNS text LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE STRICT AS $$
BEGIN
  IF octet_length(content) = char_length(content) THEN
    RETURN lower(content COLLATE "C");
  END IF;
  content := translate(content, E'\u200b™℠\u00ad\u200c\u200d\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2060\u2061\u2062\u2063\u2064\u2066\u2067\u2068\u2069\ufeff', '   ');
  content := lower(normalize(content, NFKD) COLLATE "C");
  content := lower(normalize(regexp_replace(content, '[\u0300-\u036f]', '', 'g'), NFC));
  content := replace(replace(replace(replace(content, 'ß', 'ss'), 'ẞ', 'ss'), 'æ', 'ae'), 'œ', 'oe');
  RETURN translate(replace(replace(content, 'Æ', 'ae'), 'Œ', 'oe'),
    'ØøŁłĐđÐðĦħŦŧıΑΒΓΔΕΖΗΘΙΚΛΜΝΞΟΠΡΣςΤΥΦΧΨΩАБВГДЕЖЗИКЛМНОПРСТУФХЦЧШЩЪЫЬЭЮЯЂЄЅІЈЉЊЋЏҐԱԲԳԴԵԶԷԸԹԺԻԼԽԾԿՀՁՂՃՄՅՆՇՈՉՊՋՌՍՎՏՐՑՒՓՔՕՖ',
    'oollddddhhttiαβγδεζηθικλμνξοπρσστυφχψωабвгдежзиклмнопрстуфхцчшщъыьэюяђєѕіјљњћџґաբգդեզէըթժիլխծկհձղճմյնշոչպջռսվտրցւփքօֆ');
END
$$;
