import type { Type } from '@nestjs/common';

/** An entity whose triggers write to `changes`. Its history, feed and live streams are created from this. */
export interface TrackedEntity<Factory = unknown> {
  /** The name in the table `changes` and in descriptions, such as `skill`. */
  name: string;
  /** The path of its routes, such as `skills`. */
  path: string;
  /** The class that documents a row as the API answers it. */
  dto: Type<object>;
  exampleId: string;
  /** The injection tokens of its module. */
  tokens: {
    /** The database of the entity. */
    database: symbol;
    /** The functional factory of its changes, which `changesProviders` provides. */
    changes: symbol;
    /** The functional factory of its rows. */
    rows: symbol;
  };
  /** Reads one row. Throws `not_found`. */
  getRow: (rows: Factory, id: string) => Promise<unknown>;
  /** Names in the OpenAPI document; by default they are derived from `name`. */
  documentedAs?: Partial<DocumentedNames>;
}

export interface DocumentedNames {
  changeSchema: string;
  historyEntrySchema: string;
  feedOperation: string;
  historyOperation: string;
}

export function documentedNamesOf({ name, documentedAs }: TrackedEntity<never>): DocumentedNames {
  const capitalized = name[0]!.toUpperCase() + name.slice(1);
  return {
    changeSchema: `${capitalized}Change`,
    historyEntrySchema: `${capitalized}HistoryEntry`,
    feedOperation: `list${capitalized}Changes`,
    historyOperation: `get${capitalized}History`,
    ...documentedAs,
  };
}

/** The field of a change that holds the id of the changed row, such as `skillId`. */
export function idFieldOf(entity: string): string {
  return `${entity}Id`;
}
