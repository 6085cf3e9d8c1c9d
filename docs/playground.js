// Each scenario of the guide opens in the playground, which is served beside the book. The address contains the scenario, in
// the form that web/src/share.ts describes.
async function packed(text) {
    const stream = new Blob([text]).stream().pipeThrough(new CompressionStream('deflate-raw'));
    const bytes = new Uint8Array(await new Response(stream).arrayBuffer());
    const binary = Array.from(bytes, (byte) => String.fromCharCode(byte)).join('');
    return btoa(binary).replaceAll('+', '-').replaceAll('/', '_').replace(/=+$/, '');
}

async function linkScenarios() {
    for (const code of document.querySelectorAll('main code.language-yaml')) {
        const text = code.textContent;
        // Parts of a scenario are not one.
        if (!/^about:/m.test(text) || !/^hosts:/m.test(text)) {
            continue;
        }
        const link = document.createElement('a');
        link.href = `${path_to_root}playground/#s=${await packed(text)}`;
        link.textContent = 'Open in the playground';
        const line = document.createElement('p');
        line.append(link);
        code.closest('pre').after(line);
    }
}

void linkScenarios();
