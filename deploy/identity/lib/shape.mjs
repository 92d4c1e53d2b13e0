/**
 * Checks of JSON values that say where and how a value is wrong.
 * A check takes a value and its path and gives a list of sentences, empty when the value is right.
 * @typedef {(value: unknown, path: string) => string[]} Check
 */

/** @returns {Check} */
const rule = (holds, expected) => (value, path) =>
  holds(value) ? [] : [`${path} is ${JSON.stringify(value)}: it must be ${expected}.`];

export const text = rule((value) => typeof value === 'string' && value !== '', 'a text that is not empty');
export const flag = rule((value) => typeof value === 'boolean', 'true or false');
export const seconds = rule((value) => Number.isInteger(value) && value > 0, 'a whole number of seconds above 0');
export const anything = () => [];
export const date = rule(
  (value) => typeof value === 'string' && !Number.isNaN(Date.parse(value)) && new Date(value).toISOString() === value,
  'a time such as "2026-01-15T09:30:00.000Z"',
);
export const httpsUrl = rule(
  (value) => URL.canParse(value) && new URL(value).protocol === 'https:' && !value.includes('#'),
  'an https URL without a fragment, for example "https://localhost:8443/callback"',
);
// As Auth0 has it: plain HTTP is for an application on the developer's own machine.
export const applicationUrl = rule(
  (value) =>
    URL.canParse(value) &&
    !value.includes('#') &&
    (new URL(value).protocol === 'https:' || /^http:\/\/(localhost|127\.0\.0\.1)(:\d+)?(\/|$)/.test(value)),
  'an https URL without a fragment, for example "https://localhost:8443/callback", or one of http://localhost',
);
export const uri = rule(
  (value) => URL.canParse(value) && !value.includes('#'),
  'an absolute URI without a fragment, for example "https://api.example.com/"',
);

/** @returns {Check} */
export const pattern = (expression, expected) =>
  rule((value) => typeof value === 'string' && expression.test(value), expected);

/** @param {Check} check @returns {Check} */
export const list = (check, { least = 0 } = {}) => (value, path) => {
  if (!Array.isArray(value)) return [`${path} is ${JSON.stringify(value)}: it must be a list.`];
  if (value.length < least) return [`${path} is empty: it needs at least ${least} entry.`];
  return value.flatMap((item, index) => check(item, `${path}[${index}]`));
};

/**
 * An object whose keys and values are both checked.
 * @param {Check} key @param {Check} check @returns {Check}
 */
export const map = (key, check) => (value, path) => {
  if (!isObject(value)) return [`${path} is ${JSON.stringify(value)}: it must be an object.`];
  return Object.entries(value).flatMap(([name, item]) => [
    ...key(name, `${path}, name ${name},`),
    ...check(item, `${path}[${JSON.stringify(name)}]`),
  ]);
};

/**
 * An object with these fields and no others.
 * @param {Record<string, Check>} must @param {Record<string, Check>} [may] @returns {Check}
 */
export const object = (must, may = {}) => (value, path) => {
  if (!isObject(value)) return [`${path || 'The file'} must be an object.`];
  const fields = { ...must, ...may };
  const prefix = path && `${path}.`;
  return [
    ...Object.keys(must).filter((name) => !(name in value)).map((name) => `${prefix}${name} is missing: add it.`),
    ...Object.keys(value).filter((name) => !Object.hasOwn(fields, name))
      .map((name) => `${prefix}${name} is not known: remove it or use one of ${Object.keys(fields).join(', ')}.`),
    ...Object.entries(value).filter(([name]) => Object.hasOwn(fields, name))
      .flatMap(([name, item]) => fields[name](item, `${prefix}${name}`)),
  ];
};

const isObject = (value) => typeof value === 'object' && value !== null && !Array.isArray(value);
