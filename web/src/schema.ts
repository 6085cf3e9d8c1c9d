/** The JSON Schema of scenarios, as far as an editor asks it: fields, their values and words. */

import document from '../../scenarios/scenario.schema.json';

export interface Schema {
    $ref?: string;
    title?: string;
    description?: string;
    type?: string | string[];
    enum?: unknown[];
    const?: unknown;
    properties?: Record<string, Schema>;
    patternProperties?: Record<string, Schema>;
    additionalProperties?: Schema | boolean;
    items?: Schema | boolean;
    anyOf?: Schema[];
    oneOf?: Schema[];
    allOf?: Schema[];
    $defs?: Record<string, Schema>;
}

/** A step of a path: a key, or an item of a list. */
export type Segment = string | typeof ITEM;
export const ITEM = Symbol('item');

const root = document as unknown as Schema;

/** The alternatives of a schema, references followed. */
function alternatives(schema: Schema, depth = 0): Schema[] {
    if (depth > 16) {
        return [];
    }
    const found: Schema[] = [schema];
    const nested = [...(schema.anyOf ?? []), ...(schema.oneOf ?? []), ...(schema.allOf ?? [])];
    const name = schema.$ref?.replace('#/$defs/', '');
    const referred = name === undefined ? undefined : root.$defs?.[name];
    if (referred !== undefined) {
        nested.push(referred);
    }
    for (const one of nested) {
        found.push(...alternatives(one, depth + 1));
    }
    return found;
}

function step(schema: Schema, segment: Segment): Schema[] {
    if (segment === ITEM) {
        return typeof schema.items === 'object' ? [schema.items] : [];
    }
    const own = schema.properties?.[segment];
    if (own !== undefined) {
        return [own];
    }
    const patterns = Object.entries(schema.patternProperties ?? {});
    const matching = patterns.filter(([pattern]) => new RegExp(pattern, 'u').test(segment));
    if (matching.length > 0) {
        return matching.map(([, one]) => one);
    }
    const rest = schema.additionalProperties;
    return typeof rest === 'object' ? [rest] : [];
}

/** The schemas that a place of a scenario may have. */
export function at(path: readonly Segment[]): Schema[] {
    let here = alternatives(root);
    for (const segment of path) {
        here = here.flatMap((one) => step(one, segment)).flatMap((one) => alternatives(one));
    }
    return here;
}

/** The fields of a map at a place, with their descriptions. */
export function fields(path: readonly Segment[]): Map<string, string> {
    const found = new Map<string, string>();
    for (const one of at(path)) {
        for (const [name, field] of Object.entries(one.properties ?? {})) {
            if (!found.has(name)) {
                found.set(name, describe(alternatives(field)));
            }
        }
    }
    return found;
}

/** The values that a place may have, where they can be listed. */
export function values(path: readonly Segment[]): string[] {
    const found = new Set<string>();
    for (const one of at(path)) {
        for (const value of [...(one.enum ?? []), ...('const' in one ? [one.const] : [])]) {
            found.add(String(value));
        }
        if (one.type === 'boolean') {
            found.add('true').add('false');
        }
    }
    return [...found];
}

/** The description of a place, for people. */
export function describe(schemas: readonly Schema[]): string {
    const text = schemas.find((one) => one.description !== undefined)?.description;
    const kind = schemas.find((one) => one.title !== undefined)?.title;
    return [text?.replaceAll('\n', ' '), kind && `Expected: ${kind}.`].filter(Boolean).join(' ');
}
