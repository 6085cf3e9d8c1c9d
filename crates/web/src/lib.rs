//! The playground's side of the model: requests in JSON, and the answers to them in JSON.
//!
//! The crate is compiled to WebAssembly and called by a worker of the page in `web/`. Its functions
//! are those of the command: the same selection of kernels, the same text, byte for byte. It
//! compiles for any other target as well, so that `cargo test` covers everything but `abi`.
//!
//! - [`request`]: what the page asks
//! - `select`: text to cases, and the limits of a page
//! - `check`, `run`, `steps`, `kernels`, `fixes`, `capacity`, `import`: one request each
//! - `abi`: the functions that JavaScript calls
//!
//! JavaScript and the model exchange UTF-8 text through a plain C ABI. wasm-bindgen would need a
//! command-line tool of its own version in every build, for an interface of three functions.

pub mod request;

#[cfg(target_arch = "wasm32")]
pub mod abi;

mod capacity;
mod check;
mod fixes;
mod import;
mod kernels;
mod reply;
mod run;
mod select;
mod steps;

use request::Request;

/// Answers a request. `progress` hears how many of how many parts of long work are done.
#[must_use]
pub fn answer(request: &str, progress: &mut dyn FnMut(usize, usize)) -> String {
    let reply = match serde_json::from_str(request) {
        Ok(request) => reply_to(request, progress),
        Err(error) => reply::Reply::error(format!("the request is not valid: {error}"), None),
    };
    // Every part of a reply has string keys, so that it can be written.
    serde_json::to_string(&reply).unwrap_or_default()
}

fn reply_to(request: Request, progress: &mut dyn FnMut(usize, usize)) -> reply::Reply {
    match request {
        Request::About => kernels::about(),
        Request::Check { asked } => check::check(&asked),
        Request::Lint { asked } => check::lint(&asked),
        Request::Run { asked } => run::run(&asked),
        Request::Document { asked } => run::document(&asked),
        Request::Explain { asked } => run::explain(&asked),
        Request::Steps { asked, point } => steps::steps(&asked, point),
        Request::Compare { asked } => kernels::compare(&asked),
        Request::Fixes { asked, calls } => fixes::fixes(&asked, calls, progress),
        Request::Capacity { asked } => capacity::capacity(&asked, progress),
        Request::Import { host } => import::import(&host),
        Request::Understood { capture } => import::understood(&capture),
    }
}
