// The statements of the rivals on the plain table (catalogue.js), which a user would write without this service.
const COLUMNS =
  'id, name, description, technologies, created_at as "createdAt", updated_at as "updatedAt"';

export const GET = `select ${COLUMNS} from plain where id = $1`;
export const FILTER = `select ${COLUMNS} from plain where technologies @> $1::jsonb
  order by created_at desc limit 50`;
export const POST = `insert into plain (name, description, technologies) values ($1, $2, $3::jsonb)
  returning ${COLUMNS}`;
export const PATCH = `update plain set description = $2, updated_at = now() where id = $1
  returning ${COLUMNS}`;
export const PUT = `update plain set name = $2, description = $3, technologies = $4::jsonb, updated_at = now()
  where id = $1 returning ${COLUMNS}`;
