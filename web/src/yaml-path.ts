/** The place of the cursor in YAML that is being written, and may not be valid at the moment. */

import { ITEM, type Segment } from './schema';

export interface Place {
    /** The map, list or value around the cursor. */
    path: Segment[];
    /** True where a key is expected, false where a value is. */
    isKey: boolean;
    /** The beginning of the word at the cursor. */
    from: number;
}

const KEY = /^(?:"([^"]*)"|'([^']*)'|([^\s"'{}[\],#&*!|>%@`-][^:#]*?))\s*:(?=\s|$)/;

/** A flow collection that is open at the cursor, with the key whose value is being written. */
interface Open {
    isList: boolean;
    key: string | null;
}

/** The place of an offset of a text. */
export function placeAt(text: string, offset: number): Place {
    const above = text.slice(0, offset).split('\n');
    const line = readLine(above.pop() ?? '');
    const path = [...parents(above, line.indent), ...line.items];
    if (line.key === null && !/^[{[]/.test(line.rest)) {
        return { path, isKey: true, from: offset - line.rest.length };
    }
    if (line.key !== null) {
        path.push(line.key);
    }
    const value = line.rest;
    const { open, from } = readFlow(value);
    for (const { isList, key } of open) {
        const segment = isList ? ITEM : key;
        if (segment !== null) {
            path.push(segment);
        }
    }
    const around = open.at(-1);
    return {
        path,
        isKey: around !== undefined && !around.isList && around.key === null,
        from: offset - value.slice(from).trimStart().length,
    };
}

/** The flow collections of a value that are open at its end, and where the last word begins. */
function readFlow(value: string): { open: Open[]; from: number } {
    const open: Open[] = [];
    let from = 0;
    let quote = '';
    for (let n = 0; n < value.length; n += 1) {
        const c = value.charAt(n);
        const around = open.at(-1);
        if (quote !== '') {
            quote = c === quote ? '' : quote;
        } else if (c === '"' || c === "'") {
            quote = c;
        } else if (c === '{' || c === '[') {
            open.push({ isList: c === '[', key: null });
            from = n + 1;
        } else if (c === '}' || c === ']') {
            open.pop();
            from = n + 1;
        } else if (c === ',' && around !== undefined) {
            around.key = null;
            from = n + 1;
        } else if (c === ':' && isKeyEnd(value, n) && around?.isList === false && around.key === null) {
            around.key = value.slice(from, n).trim().replaceAll(/["']/g, '');
            from = n + 1;
        }
    }
    return { open, from };
}

function isKeyEnd(value: string, colon: number): boolean {
    return colon + 1 === value.length || value.charAt(colon + 1) === ' ';
}

interface Line {
    /** An item for each dash at its beginning. */
    items: Segment[];
    key: string | null;
    /** What follows the key, or the dashes. */
    rest: string;
    /** The column of the first dash, or of the key. */
    indent: number;
    /** The column of the key. */
    column: number;
}

function readLine(line: string): Line {
    const before = /^\s*(?:-\s+)*/.exec(line)?.[0] ?? '';
    const items: Segment[] = [...before.matchAll(/-/g)].map(() => ITEM);
    const indent = items.length > 0 ? before.indexOf('-') : before.length;
    const rest = line.slice(before.length);
    const match = KEY.exec(rest);
    return {
        items,
        key: match === null ? null : (match[1] ?? match[2] ?? match[3] ?? ''),
        rest: match === null ? rest : rest.slice(match[0].length),
        indent,
        column: before.length,
    };
}

/** The keys and items around a line that is indented so far, from the lines above it. */
function parents(above: readonly string[], indent: number): Segment[] {
    const path: Segment[] = [];
    let limit = indent;
    for (const text of above.toReversed()) {
        if (limit === 0) {
            break;
        }
        if (/^\s*(?:#|$)/.test(text)) {
            continue;
        }
        const line = readLine(text);
        if (line.key !== null && line.column < limit) {
            path.unshift(...line.items, line.key);
            limit = line.indent;
        } else if (line.items.length > 0 && line.indent < limit) {
            path.unshift(...line.items);
            limit = line.indent;
        }
    }
    return path;
}
