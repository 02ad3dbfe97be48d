/** The body of every successful response of the API: `data`, and for a list also `meta`. */
export interface Success<Data, Meta = undefined> {
  success: true;
  data: Data;
  meta?: Meta;
}

export function success<Data>(data: Data): Success<Data>;
export function success<Data, Meta>(data: Data, meta: Meta): Success<Data, Meta>;
export function success<Data, Meta>(data: Data, meta?: Meta): Success<Data, Meta> {
  return meta === undefined ? { success: true, data } : { success: true, data, meta };
}
