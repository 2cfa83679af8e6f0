//! Small programs, each one thing: run one with `cargo run -p callcore-examples --example NAME`.

#[cfg(test)]
mod tests {
    #[test]
    fn the_readme_shows_the_example_that_ci_compiles() {
        let (readme, example) = (include_str!("../README.md"), include_str!("embed.rs"));
        let body = example.split_once("\n\n").map_or("", |(_, body)| body.trim());
        assert!(readme.contains(body), "README.md and examples/embed.rs differ");
    }
}
