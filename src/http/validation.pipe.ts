import { Injectable, ValidationPipe } from '@nestjs/common';
import type { ValidationError } from 'class-validator';
import { type Fault, notValid } from './problem.js';

/** Checks a body or a query against its DTO class and refuses what the class does not name. */
@Injectable()
export class RequestValidationPipe extends ValidationPipe {
  constructor() {
    super({
      transform: true,
      whitelist: true,
      forbidNonWhitelisted: true,
      exceptionFactory: (errors) => notValid(errors.flatMap((error) => faultsOf(error))),
    });
  }
}

function faultsOf(error: ValidationError, parent = ''): Fault[] {
  const path = parent + error.property;
  const own = Object.entries(error.constraints ?? {}).map(([rule, message]) => ({
    path,
    message: rule === 'whitelistValidation' ? 'there is no such field or parameter' : message,
  }));
  return own.concat((error.children ?? []).flatMap((child) => faultsOf(child, `${path}.`)));
}
