// Replaces @nestjs/common in the bundle of the commands (bundle.js): the parts that decorators of DTO classes use.

export function applyDecorators(...decorators) {
  return (...target) => {
    for (const decorate of decorators) decorate(...target);
  };
}

/** @nestjs/mapped-types logs an error if it loses validation rules. No command may run without them, so it throws. */
export class Logger {
  error(fault) {
    throw new Error(String(fault));
  }
}
