/** The token of the functional factory of projects: `@Inject(PROJECTS_FACTORY) projects: ProjectsFactory`. */
export const PROJECTS_FACTORY = Symbol('PROJECTS_FACTORY');

/** The token of the database that PROJECTS_FACTORY uses, for code that needs a transaction. */
export const PROJECTS_DATABASE = Symbol('PROJECTS_DATABASE');

/** The token of the functional factory of the changes to projects. */
export const CHANGES_FACTORY = Symbol('CHANGES_FACTORY');

/** The token of the number of days after which changes are removed. Without a provider all are kept. */
export const HISTORY_RETENTION_DAYS = Symbol('HISTORY_RETENTION_DAYS');
