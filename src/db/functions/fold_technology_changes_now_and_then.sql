-- Folds after about one write in 500, so that a reader never has many changes to add up.
CREATE OR REPLACE FUNCTION fold_technology_changes_now_and_then() RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  IF random() < 0.002 THEN
    PERFORM fold_technology_changes();
  END IF;
END
$$;
