import { DEFAULT_LIMIT, DEFAULT_SORT } from '../../db/entity/keyset-list.js';
import { ApiPropertyOptional, ApiSchema, PartialType } from '@nestjs/swagger';
import { IsOptional, ValidateBy } from 'class-validator';
import {
  COUNTS,
  PROJECT_FIELDS,
  PROJECT_SORT_KEYS,
  type ProjectListQuery,
} from '../../db/factories/projects/project-list-query.js';
import { searchFault } from '../../db/factories/projects/search-words.js';
import { PROJECT_LIMITS } from '../../db/schema.js';
import { isUuid } from '../../db/driver/text-format.js';
import { PageMetaDto } from '../../http/answers/page.js';
import { MAX_LIMIT, PageCursor, PageLimit } from '../../http/contract/page-parameters.js';
import { DistinctTexts, Normalized } from '../../http/contract/field-validators.js';
import {
  GIVEN_ONCE,
  MomentParameter,
  NamesParameter,
  OneOf,
  Repeatable,
} from '../../http/contract/parameter-validators.js';
import { ProjectDto } from './project.dto.js';

const MAX_TECHNOLOGIES = 10;
const MAX_SEARCH_LENGTH = 200;
/** The schema of a filter by technologies. */
const TECHNOLOGIES = {
  type: 'array',
  items: { type: 'string', minLength: 1, maxLength: PROJECT_LIMITS.technologyLength },
  maxItems: MAX_TECHNOLOGIES,
  uniqueItems: true,
} as const;
const SORTS = PROJECT_SORT_KEYS.flatMap((key) => [`-${key}`, key]);

export class ListProjectsQuery {
  @PageLimit('The maximum number of projects in a page. A page of large projects has fewer.')
  limit: number = DEFAULT_LIMIT;

  @PageCursor(
    'The `meta.nextCursor` of the previous page. A cursor belongs to one filter and sort: with another filter or sort, or if it was changed, it is refused (`invalid_cursor`).',
  )
  after?: string;

  @ApiPropertyOptional({
    enum: SORTS,
    default: DEFAULT_SORT,
    description:
      'The sort key; a leading `-` sorts descending. Projects with an equal key are sorted by id. Names are sorted by the collation of the database.',
  })
  @IsOptional()
  @OneOf(SORTS)
  sort: string = DEFAULT_SORT;

  @ApiPropertyOptional({
    ...TECHNOLOGIES,
    description:
      'Only projects that use this technology. The spelling must match exactly. In a URL write `+` as `%2B`: `C%2B%2B` is C++. If the parameter is repeated, a project must use all of the technologies. Duplicates are refused.',
  })
  @IsOptional()
  @Repeatable()
  @Normalized()
  @DistinctTexts({ maxItems: MAX_TECHNOLOGIES, maxLength: PROJECT_LIMITS.technologyLength })
  technology?: string[];

  @ApiPropertyOptional({
    ...TECHNOLOGIES,
    description:
      'Only projects that use this technology. The spelling must match exactly. In a URL write `+` as `%2B`: `C%2B%2B` is C++. If the parameter is repeated, a project must use at least one of the technologies. Duplicates are refused.',
  })
  @IsOptional()
  @Repeatable()
  @Normalized()
  @DistinctTexts({ maxItems: MAX_TECHNOLOGIES, maxLength: PROJECT_LIMITS.technologyLength })
  anyTechnology?: string[];

  @ApiPropertyOptional({
    type: String,
    minLength: 1,
    maxLength: MAX_SEARCH_LENGTH,
    description:
      'Only projects that contain these words in name, technologies or description. Order, case and accents do not matter. A word consists of letters and digits; other characters separate words: `node` finds `Node.js`, and `C++` is the word `c` (use the filter `technology` to find exactly C++). Invisible characters, such as soft hyphens, do not count. Words in quotes, such as `"object relational"`, must follow one another within one field, and so must the parts of `Node.js`. `-word` must not occur. `or` between two words finds either. At least one word must be required on each side of an `or`, so `-word` alone is refused. In Korean and in a script without spaces, such as Chinese, any part of a text is found. A word that no name contains or has contained also finds names with similar words, unless it is in quotes or behind a minus.',
  })
  @IsOptional()
  @SearchWords()
  q?: string;

  @ApiMoment('Only projects created at this moment or later.')
  createdFrom?: Date;

  @ApiMoment('Only projects created before this moment.')
  createdTo?: Date;

  @ApiMoment('Only projects changed at this moment or later.')
  updatedFrom?: Date;

  @ApiMoment('Only projects last changed before this moment.')
  updatedTo?: Date;

  @ApiPropertyOptional({
    type: String,
    example: 'id,name,version',
    description: `Answer only these fields of each project, separated by commas: ${PROJECT_FIELDS.join(', ')}.`,
  })
  @IsOptional()
  @NamesParameter(PROJECT_FIELDS)
  fields?: ProjectListQuery['fields'];

  @ApiPropertyOptional({
    enum: COUNTS,
    default: 'none',
    description:
      'Adds the total number of matching projects as `meta.total`. `estimated` uses the statistics of the database and is fast. `exact` counts the projects, which takes longer the more there are.',
  })
  @IsOptional()
  @OneOf(COUNTS)
  count: (typeof COUNTS)[number] = 'none';

  @ApiPropertyOptional({
    type: 'array',
    items: { type: 'string', minLength: 36, maxLength: 36 },
    maxItems: MAX_LIMIT,
    uniqueItems: true,
    description:
      'Read the projects with these ids (UUIDs), in this order. Repeat the parameter for each id. Duplicates are refused, and unknown ids are left out. Only the parameters `fields` and `after` may be combined with it. The page ends early, with a cursor, at one mebibyte of JSON.',
  })
  @IsOptional()
  @Repeatable()
  @Ids()
  id?: string[];
}

function ApiMoment(description: string): PropertyDecorator {
  return (target, key) => {
    ApiPropertyOptional({
      // JSON Schema has no format for "date or date-time".
      type: String,
      description: `${description} The value is a date-time (RFC 3339), or a date, which means its midnight in UTC.`,
    })(target, key);
    IsOptional()(target, key);
    MomentParameter()(target, key);
  };
}

/** A search text that `searchFault` accepts: each alternative must have a word that must occur. */
function SearchWords(): PropertyDecorator {
  return ValidateBy({
    name: 'searchWords',
    validator: {
      validate: (value: unknown) => faultOfSearch(value) === undefined,
      defaultMessage: (args) => faultOfSearch(args?.value)!,
    },
  });
}

function faultOfSearch(value: unknown): string | undefined {
  if (typeof value !== 'string') return GIVEN_ONCE;
  const length = [...value].length;
  return length > MAX_SEARCH_LENGTH
    ? `must be text of at most ${MAX_SEARCH_LENGTH} characters, not ${length}`
    : searchFault(value);
}

function Ids(): PropertyDecorator {
  return ValidateBy({
    name: 'ids',
    validator: {
      validate: (value: unknown) => faultOfIds(value) === undefined,
      defaultMessage: (args) => faultOfIds(args?.value)!,
    },
  });
}

function faultOfIds(value: unknown): string | undefined {
  if (!Array.isArray(value) || !value.every(isUuid)) return 'each must be a UUID';
  if (value.length > MAX_LIMIT) return `must be at most ${MAX_LIMIT} UUIDs, not ${value.length}`;
  const isDistinct = new Set(value.map((id) => id.toLowerCase())).size === value.length;
  return isDistinct ? undefined : 'must not contain duplicates';
}

@ApiSchema({
  name: 'ListedProject',
  description: 'A project in a list: with all its fields, or with those that `fields` selects.',
})
export class ListedProjectDto extends PartialType(ProjectDto) {}

@ApiSchema({ name: 'ListMeta', description: 'Paging information of a list, and the total.' })
export class ListMetaDto extends PageMetaDto {
  @ApiPropertyOptional({
    type: 'integer',
    description: 'With `count`: the total number of matches.',
  })
  total?: number;

  @ApiPropertyOptional({ description: 'With `count`: true if `total` is an estimate.' })
  totalIsEstimate?: boolean;
}
