/**
 * The editor. It lives in a shadow root, where CodeMirror adds its rules as constructed style
 * sheets: the page's policy allows no inline styles.
 */

import { autocompletion, completionKeymap } from '@codemirror/autocomplete';
import { defaultKeymap, history, historyKeymap } from '@codemirror/commands';
import { yaml } from '@codemirror/lang-yaml';
import { HighlightStyle, indentOnInput, syntaxHighlighting } from '@codemirror/language';
import { type Diagnostic, lintKeymap, setDiagnostics } from '@codemirror/lint';
import { highlightSelectionMatches, searchKeymap } from '@codemirror/search';
import { EditorState } from '@codemirror/state';
import {
    drawSelection,
    EditorView,
    highlightActiveLine,
    keymap,
    lineNumbers,
} from '@codemirror/view';
import { tags } from '@lezer/highlight';
import { completions, documentation } from './complete';
import { h } from './dom';
import type { Problem } from './protocol';

const theme = EditorView.theme({
    '&': { height: '100%', fontSize: 'var(--code-size)', color: 'var(--text)' },
    '&.cm-focused': { outline: 'none' },
    '.cm-scroller': { fontFamily: 'var(--mono)', lineHeight: '1.55' },
    '.cm-content': { caretColor: 'var(--text)', padding: '0.6rem 0' },
    '.cm-gutters': { background: 'var(--surface)', color: 'var(--quiet)', border: 'none' },
    '.cm-activeLine': { background: 'var(--line-active)' },
    '.cm-cursor': { borderLeftColor: 'var(--text)' },
    '&.cm-focused > .cm-scroller > .cm-selectionLayer .cm-selectionBackground, .cm-selectionBackground':
        { background: 'var(--selection)' },
    '.cm-selectionMatch': { background: 'var(--line-active)' },
    '.cm-tooltip, .cm-panels': {
        background: 'var(--raised)',
        color: 'var(--text)',
        border: '1px solid var(--border)',
    },
    '.cm-tooltip': { maxWidth: '34rem', fontFamily: 'var(--sans)', fontSize: '0.875rem' },
    '.cm-tooltip-autocomplete > ul': { fontFamily: 'var(--mono)' },
    '.cm-tooltip-autocomplete > ul > li[aria-selected]': {
        background: 'var(--accent)',
        color: 'var(--on-accent)',
    },
    '.documentation, .cm-diagnostic': { padding: '0.4rem 0.6rem' },
    '.cm-diagnostic': { whiteSpace: 'pre-wrap' },
    '.cm-lintRange-error': {
        backgroundImage: 'none',
        textDecoration: 'underline wavy var(--bad) 1px',
        textUnderlineOffset: '3px',
    },
    '.cm-lintRange-warning': {
        backgroundImage: 'none',
        textDecoration: 'underline wavy var(--some) 1px',
        textUnderlineOffset: '3px',
    },
});

const colours = HighlightStyle.define([
    { tag: [tags.propertyName, tags.definition(tags.propertyName)], color: 'var(--code-key)' },
    { tag: [tags.string, tags.content], color: 'var(--text)' },
    { tag: tags.comment, color: 'var(--quiet)', fontStyle: 'italic' },
    { tag: [tags.separator, tags.squareBracket, tags.brace, tags.punctuation], color: 'var(--quiet)' },
]);

export interface Editor {
    element: HTMLElement;
    text(): string;
    /** Replaces the text as one edit, which can be undone. */
    replace(text: string): void;
    /** Marks the problems. */
    mark(problems: readonly Problem[]): void;
    /** Moves the cursor to a place. */
    show(from: number): void;
}

export interface Hooks {
    changed(text: string): void;
    kernels(): readonly string[];
}

export function editor(hooks: Hooks): Editor {
    const element = h('div', { class: 'editor' });
    const root = element.attachShadow({ mode: 'open' });
    const view = new EditorView({
        root,
        parent: root,
        state: EditorState.create({
            extensions: [
                lineNumbers(),
                history(),
                drawSelection(),
                indentOnInput(),
                highlightActiveLine(),
                highlightSelectionMatches(),
                EditorView.lineWrapping,
                EditorView.contentAttributes.of({
                    'aria-label': 'Scenario in YAML',
                    tabindex: '0',
                }),
                yaml(),
                syntaxHighlighting(colours),
                autocompletion({ override: [completions(hooks.kernels)] }),
                documentation,
                // Tab leaves the editor, so that the keyboard is never trapped.
                keymap.of([
                    ...completionKeymap,
                    ...searchKeymap,
                    ...lintKeymap,
                    ...historyKeymap,
                    ...defaultKeymap,
                ]),
                theme,
                EditorView.updateListener.of((update) => {
                    if (update.docChanged) {
                        hooks.changed(update.state.doc.toString());
                    }
                }),
            ],
        }),
    });
    return {
        element,
        text: () => view.state.doc.toString(),
        replace: (text) => {
            view.dispatch({
                changes: { from: 0, to: view.state.doc.length, insert: text },
                selection: { anchor: 0 },
                scrollIntoView: true,
            });
        },
        mark: (problems) => {
            const length = view.state.doc.length;
            const diagnostics = problems.map((one) => diagnostic(one, length));
            view.dispatch(setDiagnostics(view.state, diagnostics));
        },
        show: (from) => {
            const anchor = Math.min(from, view.state.doc.length);
            view.dispatch({ selection: { anchor }, scrollIntoView: true });
            view.focus();
        },
    };
}

function diagnostic(problem: Problem, length: number): Diagnostic {
    const from = Math.min(problem.from, length);
    return {
        from,
        to: Math.max(from, Math.min(problem.to, length)),
        severity: problem.rule === null ? 'error' : 'warning',
        message: explain(problem),
    };
}

/** A problem in words: what is wrong, what is expected, and how to mend it. */
export function explain(problem: Problem): string {
    const parts = [problem.message];
    if (problem.label !== '') {
        parts.push(problem.label);
    }
    parts.push(...problem.notes.map((note) => `note: ${note}`));
    if (problem.help !== null) {
        parts.push(`help: ${problem.help}`);
    }
    return parts.join('\n');
}
