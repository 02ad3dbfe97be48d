import { defineConfig } from 'drizzle-kit';

export default defineConfig({
  schema: './src/db/schema.ts',
  out: './src/db/migrations',
  dialect: 'postgresql',
  dbCredentials: {
    url: process.env.DATABASE_URL!,
  },
  // The journal of src/db/migration-journal.ts, where `migrate()` puts it under the default search path.
  migrations: {
    schema: 'public',
    table: 'projects_service_migrations',
  },
  verbose: true,
  strict: true,
});
