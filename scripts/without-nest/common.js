// Stands for @nestjs/common in the bundle of the commands (bundle.js): what the decorators of DTO classes use of it.

export function applyDecorators(...decorators) {
  return (...target) => {
    for (const decorate of decorators) decorate(...target);
  };
}

/** By which @nestjs/mapped-types says that rules are lost: no command may run without them. */
export class Logger {
  error(fault) {
    throw new Error(String(fault));
  }
}
