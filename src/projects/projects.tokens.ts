/** The token of the functional factory of projects: `@Inject(PROJECTS_FACTORY) projects: ProjectsFactory`. */
export const PROJECTS_FACTORY = Symbol('PROJECTS_FACTORY');
