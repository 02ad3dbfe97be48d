import 'reflect-metadata';
import { IsInt, IsOptional, ValidateNested, validate } from 'class-validator';
import { plainToInstance, Type } from 'class-transformer';
import { isPlainlyValid } from '../../src/http/contract/plainly-valid.js';
import { ImportQuery } from '../../src/entities/transfer/import.dto.js';
import { PROJECT_FILE } from '../../src/projects/project-file.js';
import { EXAMPLE_ID } from '../../src/projects/dto/project.dto.js';
import { ListProjectsQuery } from '../../src/projects/dto/list-projects.query.js';
import { PROJECTS } from '../../src/projects/projects.resource.js';

const { input: WriteProjectDto, patch: PatchProjectDto } = PROJECTS.bodies;
import { ListTechnologiesQuery } from '../../src/technologies/dto/technology.dto.js';

/** Values of every kind for a parameter or a field. */
const VALUES: unknown[] = [
  undefined,
  null,
  '',
  ' ',
  'x',
  'x'.repeat(256),
  '1',
  '50',
  '201',
  '1e2',
  '-1',
  'name',
  '-createdAt',
  '2026-01-31',
  '2026-02-30',
  '2026-01-31T12:00:00Z',
  'id,name',
  'id,id',
  'none',
  '0198c5a3-5a0e-4f6e-9a53-1f2a5d3f7b10',
  ['a', 'b'],
  ['a', 'a'],
  [''],
  [1],
  [],
  {},
  7,
  0,
  true,
];

const CLASSES = { ListProjectsQuery, ListTechnologiesQuery, WriteProjectDto, PatchProjectDto };
const WHOLE = { name: 'n', description: 'd', technologies: ['t'] };

describe('isPlainlyValid', () => {
  it.each(Object.entries(CLASSES))(
    'gives the same result as class-validator for %s',
    async (_name, dto) => {
      const seen = { valid: 0, faulty: 0 };
      const properties = [
        ...Object.keys(new ListProjectsQuery()),
        ...Object.keys(WHOLE),
        'q',
        'unknown',
      ];
      for (const property of [...properties, 'technology', 'createdTo', 'fields', 'id']) {
        for (const value of VALUES) {
          for (const base of [{}, WHOLE]) {
            const instance = plainToInstance(dto as typeof ListProjectsQuery, {
              ...base,
              [property]: value,
            });
            const errors = await validate(instance, {
              whitelist: true,
              forbidNonWhitelisted: true,
              forbidUnknownValues: false,
            });
            expect([property, value, isPlainlyValid(dto as never, instance)]).toEqual([
              property,
              value,
              errors.length === 0,
            ]);
            seen[errors.length === 0 ? 'valid' : 'faulty']++;
          }
        }
      }
      expect(seen.valid).toBeGreaterThan(10);
      expect(seen.faulty).toBeGreaterThan(100);
    },
  );

  it('leaves a class with rules about several values to class-validator', () => {
    class Part {
      @IsInt()
      size!: number;
    }
    class Whole {
      @IsOptional()
      @ValidateNested()
      @Type(() => Part)
      part?: Part;
    }
    class Each {
      @IsInt({ each: true })
      sizes!: number[];
    }
    expect(isPlainlyValid(Whole, plainToInstance(Whole, { part: { size: 1 } }))).toBe(false);
    expect(isPlainlyValid(Each, plainToInstance(Each, { sizes: [1] }))).toBe(false);
    expect(isPlainlyValid(Part, plainToInstance(Part, { size: 1 }))).toBe(true);
  });
});

it('the validation does not change a value that it has already transformed', () => {
  const query = plainToInstance(ListProjectsQuery, {
    limit: '20',
    technology: 'C++',
    createdFrom: '2026-01-31',
    updatedTo: '2026-01-31T12:00:00.0001Z',
    fields: 'id,name',
    id: [EXAMPLE_ID],
  });
  expect(isPlainlyValid(ListProjectsQuery, query)).toBe(true);
  const again = plainToInstance(ListProjectsQuery, query);
  expect(again).toEqual(query);
  expect(again.createdFrom).toEqual(new Date('2026-01-31T00:00:00.000Z'));
  expect(again.fields).toEqual(['id', 'name']);

  const rest = { dryRun: 'true', onError: 'skip' };
  const report = plainToInstance(ImportQuery, rest);
  expect(plainToInstance(ImportQuery, report)).toEqual({ dryRun: true, onError: 'skip' });
  const moment = { id: EXAMPLE_ID.toUpperCase(), createdAt: '2026-01-31T12:00:00+02:00' };
  const row = plainToInstance(PROJECT_FILE.rowDto, moment);
  expect(plainToInstance(PROJECT_FILE.rowDto, row)).toEqual(row);
  expect(row).toEqual({ id: EXAMPLE_ID, createdAt: '2026-01-31T10:00:00.000Z' });
  // A list in the request is still a parameter that was given twice.
  const twice = plainToInstance(ListProjectsQuery, { fields: ['id', 'name'] });
  expect(isPlainlyValid(ListProjectsQuery, twice)).toBe(false);
});
