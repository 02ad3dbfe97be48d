import js from '@eslint/js';
import { defineConfig, globalIgnores } from 'eslint/config';
import tseslint from 'typescript-eslint';
import { FOLDER_ORDER, laterFolders } from './scripts/folder-order.js';

const SQL = { group: ['drizzle-orm', 'drizzle-orm/*', 'postgres'] };
const HTTP = { group: ['@nestjs/*', 'express'] };

/** The bans of each folder of src, from the order of the folders. */
function folderBans() {
  const folders = Object.entries(FOLDER_ORDER).flatMap(([parent, order]) =>
    order.map((name) => ({ folder: `${parent}/${name}`, later: laterFolders(parent, name) })),
  );
  const inherited = (folder) =>
    folders.filter((outer) => folder.startsWith(`${outer.folder}/`)).flatMap(({ later }) => later);
  return folders.map(({ folder, later }) => {
    const packages = folder.startsWith('src/db') ? HTTP : SQL;
    return ban(`${folder}/**/*.ts`, [...later, ...inherited(folder)], [packages]);
  });
}

/** What these files must not import: files in these folders, and these packages. */
function ban(files, folders, packages) {
  const message = 'The order of the folders forbids it: see CONTRIBUTING.md.';
  const relative = folders.length > 0 ? [{ regex: `^(\\.\\./)+(${folders.join('|')})/` }] : [];
  const patterns = [...relative, ...packages].map((pattern) => ({ ...pattern, message }));
  return {
    files: [files],
    rules: { '@typescript-eslint/no-restricted-imports': ['error', { patterns }] },
  };
}

export default defineConfig(
  globalIgnores(['dist', '.build', 'coverage', '.data', 'src/client/openapi-types.ts']),
  js.configs.recommended,
  {
    files: ['**/*.ts'],
    extends: [tseslint.configs.recommendedTypeChecked],
    languageOptions: { parserOptions: { projectService: true } },
    rules: {
      '@typescript-eslint/no-unused-vars': [
        'error',
        { argsIgnorePattern: '^_', ignoreRestSiblings: true },
      ],
      // Nest modules and DTO bases are classes without members.
      '@typescript-eslint/no-extraneous-class': 'off',
      '@typescript-eslint/switch-exhaustiveness-check': 'error',
    },
  },
  // For editors; test/repository/architecture.spec.ts checks the same order, and circles.
  ban('src/**/*.ts', [], [SQL]),
  ban('src/db/*.ts', laterFolders('src', 'db'), [HTTP]),
  ...folderBans(),
  ban('src/db/database.module.ts', laterFolders('src', 'db'), []),
  {
    files: ['**/*.js'],
    languageOptions: {
      globals: Object.fromEntries(
        'process console setTimeout clearTimeout URL URLSearchParams Buffer fetch performance AbortController AbortSignal TextDecoder'
          .split(' ')
          .map((name) => [name, 'readonly']),
      ),
    },
  },
  {
    // Tests compare complete answers and decoded bodies, so types for each of them would add nothing.
    files: ['test/**/*.ts'],
    rules: {
      '@typescript-eslint/no-unsafe-assignment': 'off',
      '@typescript-eslint/no-unsafe-member-access': 'off',
      '@typescript-eslint/no-unsafe-argument': 'off',
      '@typescript-eslint/no-unsafe-call': 'off',
      '@typescript-eslint/no-unsafe-return': 'off',
      '@typescript-eslint/no-unsafe-enum-comparison': 'off',
      '@typescript-eslint/require-await': 'off',
    },
  },
);
