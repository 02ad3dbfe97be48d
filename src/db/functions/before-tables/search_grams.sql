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
