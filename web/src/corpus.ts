/** The scenarios of the repository, by name. */

const files = import.meta.glob<string>('../../scenarios/*/**/*.yaml', {
    query: '?raw',
    import: 'default',
    eager: true,
});

export interface Scenario {
    name: string;
    /** The path that the command is given. */
    file: string;
    text: string;
    about: string;
}

export const corpus: readonly Scenario[] = Object.entries(files)
    .map(([path, text]) => {
        const file = path.slice(path.indexOf('scenarios/'));
        const about = /^about:\s*(.*(?:\n +\S.*)*)/m.exec(text)?.[1] ?? '';
        return {
            name: file.slice('scenarios/'.length, -'.yaml'.length),
            file,
            text,
            about: about.replace(/^[>|]-?/, '').replaceAll(/\s+/g, ' ').replaceAll(/^"|"$/g, '').trim(),
        };
    })
    .sort((a, b) => (a.name < b.name ? -1 : 1));

/** The scenarios that contain every word, those with the words in name or question first. */
export function search(words: string): Scenario[] {
    const wanted = words.toLowerCase().split(/\s+/).filter(Boolean);
    const all = (text: string) => wanted.every((word) => text.toLowerCase().includes(word));
    const head = corpus.filter((one) => all(`${one.name} ${one.about}`));
    return [...head, ...corpus.filter((one) => !head.includes(one) && all(one.text))];
}
