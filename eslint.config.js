import js from '@eslint/js';
import { defineConfig, globalIgnores } from 'eslint/config';
import tseslint from 'typescript-eslint';

const SQL = ['drizzle-orm', 'drizzle-orm/*', 'postgres'];

/** The imports that are forbidden in these files. */
function ban(files, group, ignores = []) {
  const message = 'The order of the folders forbids it: see CONTRIBUTING.md.';
  return {
    files: [files],
    ignores,
    rules: {
      '@typescript-eslint/no-restricted-imports': ['error', { patterns: [{ group, message }] }],
    },
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
  // The order of the folders, for editors. test/repository/architecture.spec.ts checks it completely, with cycles.
  ban(
    'src/db/**/*.ts',
    ['@nestjs/*', 'express', '**/http/**', '**/config/*'],
    ['src/db/database.module.ts'],
  ),
  ban('src/{http,changes,entities}/**/*.ts', [...SQL, '**/config/*', '../projects/**']),
  ban('src/!(db|http|changes|entities)/**/*.ts', SQL),
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
