/** The token of the functional factory of the changes to projects. */
export const CHANGES_FACTORY = Symbol('CHANGES_FACTORY');
