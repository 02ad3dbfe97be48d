/** The token of the functional factory of technologies. */
export const TECHNOLOGIES_FACTORY = Symbol('TECHNOLOGIES_FACTORY');
