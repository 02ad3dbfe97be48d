import { applyDecorators, SetMetadata } from '@nestjs/common';
import { ApiSecurity } from '@nestjs/swagger';

export const IS_PUBLIC = 'auth/public';

/** Lets everybody use a route, or all routes of a controller, without authentication. */
export function Public() {
  return applyDecorators(SetMetadata(IS_PUBLIC, true), ApiSecurity({}));
}
