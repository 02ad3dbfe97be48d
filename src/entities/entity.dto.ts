import type { Type } from '@nestjs/common';
import {
  ApiProperty,
  ApiPropertyOptional,
  ApiSchema,
  type ApiSchemaOptions,
  IntersectionType,
  PartialType,
  PickType,
} from '@nestjs/swagger';
import { IsOptional } from 'class-validator';
import { OneOf } from '../http/contract/parameter-validators.js';
import type { Entity, EntityRow } from '../db/entity/entity.js';
import { DEFAULT_LIMIT, DEFAULT_SORT } from '../db/entity/keyset-list.js';
import { PageCursor, PageLimit } from '../http/contract/page-parameters.js';
import type { EntityListQuery } from './entity-list.js';
import { FilterParameter } from '../http/contract/filter-parameter.js';

const MOMENT = {
  format: 'date-time',
  example: '2026-01-31T12:00:00.000Z',
} as const;

/** The fields of every entity that the database sets. */
export class EntityDto implements EntityRow {
  @ApiProperty({ format: 'uuid', example: '0198c5a3-5a0e-4f6e-9a53-1f2a5d3f7b10' })
  id!: string;

  @ApiProperty({ ...MOMENT, description: 'The time of the creation, in UTC with milliseconds.' })
  createdAt!: string;

  @ApiProperty({ ...MOMENT, description: 'The time of the last write, in UTC with milliseconds.' })
  updatedAt!: string;

  @ApiProperty({
    type: 'integer',
    minimum: 1,
    example: 1,
    description: 'The version, which every write increases. The ETag is this number in quotes.',
  })
  version!: number;
}

/** The DTO classes of bodies, derived from the fields of an entity's class that clients may write. */
export interface BodyDtos<Values extends object> {
  /** The body of POST and PUT. */
  input: Type<Values>;
  /** The body of PATCH, a JSON merge patch (RFC 7396). `null` is refused because no field can be removed. */
  patch: Type<Partial<Values>>;
}

/** Creates the DTO classes of bodies. Their schemas are named after the class: `SkillDto` gives `SkillInput` and `SkillPatch`. */
export function bodyDtosOf<Row extends EntityRow, Values extends object>(
  entity: Entity<Row, Values>,
  dto: Type<Row>,
): BodyDtos<Values> {
  const name = dto.name.replace(/Dto$/, '');
  class Input extends writtenFields(entity, dto) {}
  ApiSchema({
    name: `${name}Input`,
    description: `The fields of a ${entity.name} that clients write.`,
  })(Input);
  class Patch extends PartialType(Input as Type<object>, { skipNullProperties: false }) {}
  ApiSchema({
    name: `${name}Patch`,
    description: 'A JSON merge patch (RFC 7396) of at least one field.',
    minProperties: 1,
  } as ApiSchemaOptions)(Patch);
  return { input: Input as Type<Values>, patch: Patch };
}

/** Returns the fields of a class that clients write. Fields with a default may be omitted. */
export function writtenFields(
  { written, defaults }: Pick<Entity, 'written' | 'defaults'>,
  dto: Type<object>,
): Type<object> {
  const pick = (names: readonly string[]) => PickType(dto, names as readonly never[]);
  const optional = written.filter((name) => Object.hasOwn(defaults, name));
  if (optional.length === 0) return pick(written);
  const required = written.filter((name) => !optional.includes(name));
  return IntersectionType(
    pick(required),
    PartialType(pick(optional), { skipNullProperties: false }),
  );
}

/** Creates the DTO class for the query of a list, with a parameter for each filter. */
export function listQueryDtoOf(entity: Entity): Type<EntityListQuery> {
  const sorts = entity.sorts.flatMap((key) => [`-${key}`, key]);
  class ListQuery implements EntityListQuery {
    limit: number = DEFAULT_LIMIT;
    after?: string;
    sort: string = DEFAULT_SORT;
  }
  const { prototype } = ListQuery;
  PageLimit('The maximum number of entries in a page.')(prototype, 'limit');
  PageCursor(
    'The `meta.nextCursor` of the previous page. A cursor belongs to one filter and sort: with another filter or sort, or if it was changed, it is refused (`invalid_cursor`).',
  )(prototype, 'after');
  ApiPropertyOptional({
    enum: sorts,
    default: DEFAULT_SORT,
    description: 'The sort key; a leading `-` sorts descending. Equal entries are sorted by id.',
  })(prototype, 'sort');
  IsOptional()(prototype, 'sort');
  OneOf(sorts)(prototype, 'sort');
  for (const [name, filter] of Object.entries(entity.filters))
    FilterParameter(filter)(prototype, name);
  return ListQuery;
}
