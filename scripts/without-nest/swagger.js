// Stands for @nestjs/swagger in the bundle of the commands (bundle.js): import and export check rows and filters by the
// rules of the DTO classes, and need no documentation.
export { OmitType, PartialType, PickType } from '@nestjs/mapped-types';

const undocumented = () => () => undefined;
export {
  undocumented as ApiExtraModels,
  undocumented as ApiProperty,
  undocumented as ApiPropertyOptional,
  undocumented as ApiSchema,
};
