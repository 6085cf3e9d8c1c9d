// Pages link to files of the repository, which are not part of the book: such links lead to the
// repository. mdBook has renamed links to pages among them to `.html`.
const repository = document.querySelector('a[title="Git repository"]');
if (repository) {
    for (const link of document.querySelectorAll('main a[href^="../"]')) {
        const path = link.getAttribute('href').slice('../'.length).replace(/\.html(?=#|$)/, '.md');
        link.href = `${repository.href}/blob/main/${path}`;
    }
}
