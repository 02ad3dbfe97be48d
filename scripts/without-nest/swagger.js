// Replaces @nestjs/swagger in the bundle of the commands (bundle.js): import and export validate rows and filters with
// the DTO classes, but need no documentation.
export { IntersectionType, OmitType, PartialType, PickType } from '@nestjs/mapped-types';

const undocumented = () => () => undefined;
export {
  undocumented as ApiExtraModels,
  undocumented as ApiProperty,
  undocumented as ApiPropertyOptional,
  undocumented as ApiSchema,
};
