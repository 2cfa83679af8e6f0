use callcore::port::Acted;
use serde::Serialize;

use super::CallDto;
use crate::problem::Problem;

/// What became of each of many calls.
#[derive(Debug, Serialize)]
pub(crate) struct ResultsDto {
    results: Vec<ResultDto>,
    done: usize,
    refused: usize,
}

#[derive(Debug, Serialize)]
struct ResultDto {
    id: String,
    /// The status that a request for this call alone would have had.
    status: u16,
    code: Option<String>,
    call: Option<CallDto>,
    problem: Option<Problem>,
}

impl ResultsDto {
    pub(crate) fn of(acted: &[Acted], carrier: &'static str) -> Self {
        let done = acted.iter().filter(|acted| acted.done.is_ok()).count();
        let result = |acted: &Acted| {
            let id = acted.call.to_string();
            match &acted.done {
                Ok(view) => {
                    let call = Some(CallDto::brief(view, carrier));
                    ResultDto { id, status: 200, code: None, call, problem: None }
                }
                Err(refused) => {
                    let problem = Problem::from(*refused);
                    let (status, code) = (problem.status().as_u16(), problem.code().to_owned());
                    ResultDto { id, status, code: Some(code), call: None, problem: Some(problem) }
                }
            }
        };
        Self { results: acted.iter().map(result).collect(), done, refused: acted.len() - done }
    }
}
