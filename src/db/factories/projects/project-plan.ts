import { givenFilters, PROJECT_FILTERS } from './project-filters.js';
import type { NormalizedQuery } from './project-list-query.js';

/** A way to find the rows of a page. */
export type Strategy =
  /** Scan the index of one technology, or of each of several alternatives, in the order of creation. */
  | 'technology-index'
  /** Scan a limited part of the index of the rarest technology, and check the other filters. */
  | 'candidates'
  /** Use the search index for a limited number of days, in the order of creation. */
  | 'days'
  /** Let the planner of the database choose between an index in sort order and the search index. */
  | 'planner';

export interface Estimate {
  /** The planner's estimate of the number of matches. */
  matches: number;
  /** The number of projects that use the only technology of the query; undefined if it is unknown or there are several. */
  uses?: number;
}

/** The number of projects of a technology that are checked before the search index is used for the other filters. */
export const CANDIDATES = 1000;
/** Up to this estimated number of matches the search index is used without parts. */
export const FEW = 500;
/** The tolerated factor by which an estimate for a technology with words may be too low. */
const ESTIMATE_TOLERANCE = 4;

/** True if the plan of the query depends on an estimate of its matches. */
export function needsEstimate(query: NormalizedQuery): boolean {
  return query.sortBy === 'createdAt' && query.technology.length > 0 && !isScan(query);
}

/**
 * Returns the strategies for the rows of a page, in the order in which they are tried. All but the last one may find
 * fewer rows than there are: then the next one is tried.
 */
export function planOf(query: NormalizedQuery, estimate?: Estimate): Strategy[] {
  if (isScan(query)) return ['technology-index'];
  if (!needsEstimate(query) || !estimate || estimate.matches <= FEW) return ['planner'];
  const isFilled = mayFillFromCandidates(query, estimate);
  return [...(isFilled ? (['candidates'] as const) : []), 'days', 'planner'];
}

/** True if the scan of one technology, or of several alternatives, answers all filters in the order of the list. */
function isScan(query: NormalizedQuery): boolean {
  const { sortBy, technology, anyTechnology } = query;
  const scans = technology.length + (anyTechnology.length > 0 ? 1 : 0);
  const isAnswered = givenFilters(query).every((name) => PROJECT_FILTERS[name].isInTechnologyIndex);
  return sortBy === 'createdAt' && scans === 1 && isAnswered;
}

/**
 * Estimates whether the candidates contain enough matches to fill the page. The planner cannot know the overlap of
 * several technologies, and for one technology with words its estimate may be several times wrong.
 */
function mayFillFromCandidates(query: NormalizedQuery, { matches, uses }: Estimate): boolean {
  if (hasSeveralTechnologies(query) || uses === undefined) return true;
  return (matches / uses) * CANDIDATES * ESTIMATE_TOLERANCE > query.limit;
}

export function hasSeveralTechnologies({ technology, anyTechnology }: NormalizedQuery): boolean {
  return technology.length + anyTechnology.length > 1;
}
