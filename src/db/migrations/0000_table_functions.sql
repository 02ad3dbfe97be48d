-- The search path that functions capture: temporary tables come last.
SELECT set_config('search_path', (
  SELECT string_agg(quote_ident(name), ', ') FROM unnest(current_schemas(false)) AS name
) || ', pg_temp', true);
--> statement-breakpoint
-- functions/before-tables/extensions.sql
-- Trigram indexes, for typo tolerance. The extension goes into the schema public where there is one, so
-- that a second schema of the same database finds it too.
DO $$ BEGIN
  IF EXISTS (SELECT FROM pg_extension WHERE extname = 'pg_trgm') THEN
    RETURN;
  ELSIF to_regnamespace('public') IS NULL THEN
    CREATE EXTENSION pg_trgm;
  ELSE
    CREATE EXTENSION pg_trgm SCHEMA public;
  END IF;
END $$;
--> statement-breakpoint
-- functions/before-tables/fold_accents.sql
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
--> statement-breakpoint
-- functions/before-tables/is_text_list.sql
-- Returns true for a JSON list of texts with at most so many items. A check constraint calls it, because PostgreSQL
-- reads the text of a constraint again for each statement: the condition itself costs a single insert 18 us.
CREATE OR REPLACE FUNCTION is_text_list(value jsonb, max_items integer) RETURNS boolean LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
BEGIN
  RETURN CASE jsonb_typeof(value) WHEN 'array'
    THEN jsonb_array_length(value) <= max_items AND NOT value @? 'strict $[*] ? (@.type() != "string")' ELSE false END;
END
$$;
--> statement-breakpoint
-- functions/before-tables/search_grams.sql
-- Writes each run of letters of a script without spaces (Han, Kana, Hangul, Thai, Lao, Burmese, Khmer) as its
-- overlapping pairs and its last letter, so that every part of the run can be found: `项目管理` becomes
-- `项目 目管 管理 理`. search-words.ts writes search terms the same way.
CREATE OR REPLACE FUNCTION search_grams(content text) RETURNS text LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE STRICT AS $$
BEGIN
  IF content !~ '[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3005-\u3007\u3040-\u30ff\u3400-\u9fff\uac00-\ud7a3\uf900-\ufaff\U00020000-\U0003ffff]' THEN
    RETURN content;
  END IF;
  RETURN (
    SELECT string_agg(CASE WHEN part[1] IS NULL THEN part[2] ELSE ' ' || (
      SELECT string_agg(letter || coalesce(next, ''), ' ' ORDER BY place) FROM (
        SELECT letter, lead(letter) OVER (ORDER BY place) AS next, place
        FROM unnest(string_to_array(part[1], NULL)) WITH ORDINALITY AS letters (letter, place)
      ) AS pairs
    ) || ' ' END, '' ORDER BY number)
    FROM regexp_matches(content,
      '([\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3005-\u3007\u3040-\u30ff\u3400-\u9fff\uac00-\ud7a3\uf900-\ufaff\U00020000-\U0003ffff]+)|([^\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3005-\u3007\u3040-\u30ff\u3400-\u9fff\uac00-\ud7a3\uf900-\ufaff\U00020000-\U0003ffff]+)',
      'g') WITH ORDINALITY AS parts (part, number)
  );
END
$$;
--> statement-breakpoint
-- functions/before-tables/project_search.sql
-- The tsvector of a project. Tokens that PostgreSQL's parser would keep whole (`Node.js`, `CI/CD`) are
-- split into their words, as search-words.ts splits search terms. Each technology is also one lexeme of
-- its own, `t=TypeScript`, and so is the day of creation, counted from 1970 in UTC, `d=20000`; no word can
-- contain `=`. A search within a technology or some days is then one look-up. A marker word stands between
-- the fields, and between technologies, while positions are counted, so that no phrase matches across them.
-- This runs for every row of every write: hence plpgsql, whose plans a session keeps, and few statements.
CREATE OR REPLACE FUNCTION project_search(name text, technologies jsonb, description text, created_at timestamptz)
RETURNS tsvector LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE SET search_path FROM CURRENT AS $$
DECLARE
  list text := technologies::text;
  lexemes text[];
  content text;
BEGIN
  IF strpos(list, '\') = 0 AND octet_length(list) < 2000 AND left(list, 2) = '["' THEN
    -- A list without escapes, `["a", "b"]`, can be cut as text, which is fast.
    list := left(substr(list, 3), -2);
    lexemes := string_to_array('t=' || replace(list, '", "', '", "t='), '", "');
    list := replace(list, '", "', ' zqbreakqz ');
  ELSE
    lexemes := ARRAY(
      SELECT 't=' || left(item, 100) FROM jsonb_array_elements_text(
        -- The check constraint refuses what is not a list of texts, but only after this.
        CASE jsonb_typeof(technologies) WHEN 'array' THEN technologies ELSE '[]' END
      ) AS item WHERE item IS NOT NULL
    );
    list := replace(' zqbreakqz ' || array_to_string(lexemes, ' zqbreakqz '), ' zqbreakqz t=', ' zqbreakqz ');
  END IF;
  IF isfinite(created_at) THEN
    lexemes := lexemes || ('d=' || ((created_at AT TIME ZONE 'UTC')::date - '1970-01-01'::date));
  END IF;
  content := name || ' zqbreakqz ' || list || ' zqbreakqz ' || description;
  IF octet_length(content) <> char_length(content) THEN
    IF content IS NOT NFC NORMALIZED THEN
      RAISE EXCEPTION 'text must be in Unicode normalization form C: write normalize(…) of it'
        USING ERRCODE = 'check_violation', TABLE = 'projects', CONSTRAINT = 'projects_normalized_check';
    END IF;
    content := search_grams(fold_accents(content));
  END IF;
  content := replace(replace(replace(replace(content, '-', ' '), '.', ' '), '/', ' '), '~', ' ');
  content := replace(replace(replace(replace(content, '@', ' '), '<', ' '), '&', ' '), '+', ' ');
  RETURN ts_delete(to_tsvector('simple', content), 'zqbreakqz') || array_to_tsvector(lexemes);
END
$$;
