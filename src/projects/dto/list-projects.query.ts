import { DEFAULT_LIMIT, DEFAULT_SORT } from '../../db/entity/keyset-list.js';
import { ApiPropertyOptional, ApiSchema, PartialType } from '@nestjs/swagger';
import { IsIn, IsOptional, ValidateBy } from 'class-validator';
import {
  COUNTS,
  PROJECT_FIELDS,
  PROJECT_SORT_KEYS,
  type ProjectListQuery,
} from '../../db/factories/projects/project-list-query.js';
import { searchText } from '../../db/factories/projects/search-words.js';
import { PROJECT_LIMITS } from '../../db/schema.js';
import { isUuid } from '../../db/driver/text-format.js';
import { MAX_LIMIT, PageCursor, PageLimit, PageMetaDto } from '../../http/answers/page.js';
import {
  DistinctTexts,
  MomentParameter,
  NamesParameter,
  Normalized,
  Repeatable,
} from '../../http/contract/validators.js';
import { ProjectDto } from './project.dto.js';

const MAX_TECHNOLOGIES = 10;
const MAX_SEARCH_LENGTH = 200;
/** What a filter by technologies takes, for the document. */
const TECHNOLOGIES = {
  type: 'array',
  items: { type: 'string', minLength: 1, maxLength: PROJECT_LIMITS.technologyLength },
  maxItems: MAX_TECHNOLOGIES,
  uniqueItems: true,
} as const;
const SORTS = PROJECT_SORT_KEYS.flatMap((key) => [`-${key}`, key]);

export class ListProjectsQuery {
  @PageLimit('The most projects of a page, which holds fewer where they are large.')
  limit: number = DEFAULT_LIMIT;

  @PageCursor(
    'The `meta.nextCursor` of the page before, for the page behind it. A cursor belongs to the filter and the sort that made it: with others, changed or cut it is refused (`invalid_cursor`).',
  )
  after?: string;

  @ApiPropertyOptional({
    enum: SORTS,
    default: DEFAULT_SORT,
    description:
      'The order; `-` for descending. Projects that are alike in it go by their id. Names go by the collation of the database.',
  })
  @IsOptional()
  @IsIn(SORTS, { message: `must be one of: ${SORTS.join(', ')}` })
  sort: string = DEFAULT_SORT;

  @ApiPropertyOptional({
    ...TECHNOLOGIES,
    description:
      'Only projects that use this technology, written exactly so. In a URL a `+` is written `%2B`: `C%2B%2B` is C++. Given several times, a project must use all of them; the same one given twice is refused.',
  })
  @IsOptional()
  @Repeatable()
  @Normalized()
  @DistinctTexts({ maxItems: MAX_TECHNOLOGIES, maxLength: PROJECT_LIMITS.technologyLength })
  technology?: string[];

  @ApiPropertyOptional({
    ...TECHNOLOGIES,
    description:
      'Only projects that use this technology, written exactly so. In a URL a `+` is written `%2B`: `C%2B%2B` is C++. Given several times, a project must use one of them; the same one given twice is refused.',
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
      'Only projects with these words in name, technologies or description, in any order and case, with or without accents. Words are letters and digits: whatever else stands in `Node.js` or `CI/CD` divides them, so `node` finds the first, and `C++` is the word `c`, which the filter `technology` tells apart. `"words in quotes"` must follow one another within one field, as must the parts of `Node.js`; `-word` must not occur; of a script without spaces, such as Chinese, any part of a text is found; `or` between two takes either. Something must be asked to occur, on each side of an `or`: `-word` alone is refused. A word that no name holds or has held also finds names with words much like it, unless it stands in quotes or behind a minus.',
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
    description: `Only these fields of each project, with commas between them: ${PROJECT_FIELDS.join(', ')}.`,
  })
  @IsOptional()
  @NamesParameter(PROJECT_FIELDS)
  fields?: ProjectListQuery['fields'];

  @ApiPropertyOptional({
    enum: COUNTS,
    default: 'none',
    description:
      'Whether `meta.total` says how many projects match in all: `estimated` from the statistics of the database, at once; `exact` by counting, which takes the longer the more there are.',
  })
  @IsOptional()
  @IsIn(COUNTS, { message: `must be one of: ${COUNTS.join(', ')}` })
  count: (typeof COUNTS)[number] = 'none';

  @ApiPropertyOptional({
    type: 'array',
    items: { type: 'string', minLength: 36, maxLength: 36 },
    maxItems: MAX_LIMIT,
    uniqueItems: true,
    description:
      'The projects with these ids, which are UUIDs, in this order; given once for each, and one that is given twice is refused. Ids that there are not are left out. Of the other parameters only `fields` and `after` go with it: the page ends early, with a cursor, once it holds a mebibyte of JSON.',
  })
  @IsOptional()
  @Repeatable()
  @Ids()
  id?: string[];
}

function ApiMoment(description: string): PropertyDecorator {
  return (target, key) => {
    ApiPropertyOptional({
      // No format: there is none for either.
      type: String,
      description: `${description} A date-time (RFC 3339), or a date alone, which is its midnight in UTC.`,
    })(target, key);
    IsOptional()(target, key);
    MomentParameter()(target, key);
  };
}

/** What `searchText` can read: something that must occur in each alternative. */
function SearchWords(): PropertyDecorator {
  return ValidateBy({
    name: 'searchWords',
    validator: {
      validate: (value: unknown) =>
        typeof value === 'string' &&
        [...value].length <= MAX_SEARCH_LENGTH &&
        searchText(value) !== undefined,
      defaultMessage: () =>
        `must be text of at most ${MAX_SEARCH_LENGTH} characters with a word that is to occur on each side of an or, given once`,
    },
  });
}

function Ids(): PropertyDecorator {
  return ValidateBy({
    name: 'ids',
    validator: {
      validate: (value: unknown) =>
        Array.isArray(value) &&
        value.length <= MAX_LIMIT &&
        value.every(isUuid) &&
        new Set(value.map((id: string) => id.toLowerCase())).size === value.length,
      defaultMessage: () => `must be at most ${MAX_LIMIT} UUIDs, none of them twice`,
    },
  });
}

/** A project of a list: whole, or with `fields` only those. */
@ApiSchema({
  name: 'ListedProject',
  description: 'A project of a list: whole, or with `fields` only those.',
})
export class ListedProjectDto extends PartialType(ProjectDto) {}

/** What a list says about itself. */
@ApiSchema({ name: 'ListMeta', description: 'What a list says about itself.' })
export class ListMetaDto extends PageMetaDto {
  @ApiPropertyOptional({ type: 'integer', description: 'With `count`: how many match in all.' })
  total?: number;

  @ApiPropertyOptional({ description: 'With `count`: whether `total` is an estimate.' })
  totalIsEstimate?: boolean;
}
