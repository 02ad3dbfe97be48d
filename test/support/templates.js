/** The databases that tests clone: one with nothing in it, one with every migration applied. */
export const EMPTY_TEMPLATE = 'projects_service_template_empty';
export const MIGRATED_TEMPLATE = 'projects_service_template_migrated';
