/** Completion and documentation of fields, from the JSON Schema. */

import type { Completion, CompletionContext, CompletionResult } from '@codemirror/autocomplete';
import { hoverTooltip } from '@codemirror/view';
import { h } from './dom';
import { at, describe, fields, ITEM, values } from './schema';
import { placeAt } from './yaml-path';

/** Completes fields where a key is expected, and words where a value is. */
export function completions(kernels: () => readonly string[]) {
    return (context: CompletionContext): CompletionResult | null => {
        const text = context.state.doc.toString();
        const place = placeAt(text, context.pos);
        if (!context.explicit && context.pos === place.from) {
            return null;
        }
        const options = place.isKey
            ? keys(place.path)
            : words(place.path, kernels);
        return options.length === 0
            ? null
            : { from: place.from, options, validFor: /^[\w.-]*$/ };
    };
}

function keys(path: Parameters<typeof fields>[0]): Completion[] {
    return [...fields(path)].map(([label, info]) => ({
        label,
        type: 'property',
        apply: `${label}: `,
        ...(info === '' ? {} : { info }),
    }));
}

function words(path: Parameters<typeof values>[0], kernels: () => readonly string[]): Completion[] {
    const key = path.findLast((segment) => segment !== ITEM);
    const listed = key === 'kernel' ? ['all', ...kernels()] : values(path);
    return listed.map((label) => ({ label, type: 'constant' }));
}

/** The documentation of the field at the pointer. */
export const documentation = hoverTooltip((view, pos) => {
    const line = view.state.doc.lineAt(pos);
    const word = /[\w.]*$/.exec(line.text.slice(0, pos - line.from))?.[0] ?? '';
    const rest = /^[\w.]*/.exec(line.text.slice(pos - line.from))?.[0] ?? '';
    const name = word + rest;
    const start = pos - word.length;
    const end = pos + rest.length;
    if (name === '' || !/^["']?\s*:(?:\s|$)/.test(view.state.doc.sliceString(end, end + 4))) {
        return null;
    }
    const place = placeAt(view.state.doc.toString(), start);
    if (!place.isKey) {
        return null;
    }
    const text = describe(at([...place.path, name]));
    if (text === '') {
        return null;
    }
    return {
        pos: start,
        end,
        create: () => ({
            dom: h('div', { class: 'documentation' }, h('strong', {}, name), ' ', text),
        }),
    };
});
