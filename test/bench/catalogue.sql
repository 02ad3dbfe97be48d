-- A catalogue of any size, the same each time: projects :from to :to, skewed like real ones.
create or replace function draw(i bigint, kind int) returns float8 language sql immutable parallel safe as $$
  select (hashint8extended(i, kind) & 9007199254740991)::float8 / 9007199254740992 $$;
create or replace function pick(i bigint, kind int, n int) returns int language sql immutable parallel safe as $$
  select floor(draw(i, kind) * n)::int $$;
-- Of n things the first is drawn most often, each later one more rarely, as words are in texts.
create or replace function pick_skewed(i bigint, kind int, n int) returns int language sql immutable parallel safe as $$
  select least(n - 1, floor(exp(draw(i, kind) * ln(n)))::int - 1) $$;
-- The n-th of 10,000 words.
create or replace function word(n int) returns text language sql immutable parallel safe as $$
  select (array['ba','co','di','fu','ge','ha','ji','ko','lu','ma','ne','po','qui','ra','se','tu','va','we','xi','zo'])[1 + n % 20]
    || (array['nor','lis','tar','mel','son','dek','rim','pax','gul','ven'])[1 + (n / 20) % 10]
    || (array['a','er','um','ix','on','is','al','ek','or','us'])[1 + (n / 200) % 10]
    || case when n >= 2000 then (array['ta','ri','no','la','me'])[1 + (n / 2000) % 5] else '' end $$;
