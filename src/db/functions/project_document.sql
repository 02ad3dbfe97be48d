-- A project as the API represents it.
CREATE OR REPLACE FUNCTION project_document(id uuid, name text, description text, technologies jsonb,
  created_at timestamptz, updated_at timestamptz, version integer)
RETURNS json LANGUAGE sql STABLE PARALLEL SAFE AS $$
  SELECT json_build_object('id', id, 'name', name, 'description', description, 'technologies', technologies,
    'createdAt', api_moment(created_at), 'updatedAt', api_moment(updated_at), 'version', version)
$$;
