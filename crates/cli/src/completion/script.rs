//! The scripts for each shell.

/// The script of a shell for a program of that name; `None` for a shell nobody has written one for.
pub(crate) fn script(shell: &str, program: &str) -> Option<String> {
    let text = match shell {
        "bash" => BASH,
        "zsh" => ZSH,
        "fish" => FISH,
        _ => return None,
    };
    Some(text.replace("PROGRAM", program))
}

/// Bash splits words at colons and equal signs, which names of images have; so the line is split anew, and what bash
/// takes for an earlier word is cut off the candidates.
const BASH: &str = r#"# Completion of PROGRAM for bash: put it into /usr/share/bash-completion/completions/PROGRAM,
# or say: source <(PROGRAM completion bash)
__PROGRAM_complete() {
    local line=${COMP_LINE:0:COMP_POINT} current=${COMP_WORDS[COMP_CWORD]} answer directive candidate cut
    local -a words
    read -ra words <<<"$line"
    [[ $line == *[[:space:]] ]] && words+=("")
    answer=$("${words[0]}" __complete "${words[@]:1}" 2>/dev/null) || return
    directive=${answer##*:}
    answer=${answer%:*}
    local partial=${words[-1]}
    # The part of the word that stands before what bash calls the word.
    [[ $current == [:=] ]] && current=""
    cut=${partial%"$current"}
    [[ $partial == --*=* ]] && cut=${cut#--*=}
    COMPREPLY=()
    while IFS= read -r candidate; do
        candidate=${candidate%%$'\t'*}
        [[ -n $candidate ]] && COMPREPLY+=("${candidate#"$cut"}")
    done <<<"$answer"
    if [[ ${#COMPREPLY[@]} -eq 0 && $((directive & 4)) -eq 0 ]]; then
        compopt -o default 2>/dev/null
    elif [[ ${COMPREPLY[0]} == *[:=] ]]; then
        compopt -o nospace 2>/dev/null
    fi
}
complete -F __PROGRAM_complete PROGRAM
"#;

const ZSH: &str = r#"#compdef PROGRAM
# Completion of PROGRAM for zsh: put it into a folder of $fpath as _PROGRAM, or say: source <(PROGRAM completion zsh)
_PROGRAM() {
    local answer directive line
    local -a candidates
    answer=$("${words[1]}" __complete "${(@)words[2,CURRENT]}" 2>/dev/null) || return
    directive=${answer##*:}
    answer=${answer%:*}
    [[ ${words[CURRENT]} == --*=* ]] && compset -P '*='
    for line in "${(@f)answer}"; do
        [[ -z $line ]] && continue
        # A colon would end the name; a tab does here.
        line=${line//:/\\:}
        candidates+=("${line/$'\t'/:}")
    done
    if (( ${#candidates} )); then
        _describe -V 'candidates' candidates
    elif (( (directive & 4) == 0 )); then
        _files
    fi
}
if [[ ${funcstack[1]} == _PROGRAM ]]; then
    _PROGRAM "$@"
else
    compdef _PROGRAM PROGRAM
fi
"#;

const FISH: &str = r#"# Completion of PROGRAM for fish: put it into ~/.config/fish/completions/PROGRAM.fish,
# or say: PROGRAM completion fish | source
function __PROGRAM_complete
    set -l words (commandline -opc) (commandline -ct)
    set -l answer ($words[1] __complete $words[2..-1] 2>/dev/null)
    or return
    set -l directive (string replace ':' '' -- $answer[-1])
    set -l prefix (string match -r -- '^--[^=]*=' $words[-1])
    set -l candidates $answer[1..-2]
    if test (count $candidates) -eq 0; and test (math "bitand($directive, 4)") -eq 0
        __fish_complete_path (string replace -- "$prefix" '' $words[-1])
        return
    end
    for candidate in $candidates
        # Quoted: a prefix that is not there is no list without elements then.
        echo "$prefix$candidate"
    end
end
complete -c PROGRAM -f -a '(__PROGRAM_complete)'
"#;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_shell_has_a_script_for_the_name_it_is_called_by() {
        for shell in ["bash", "zsh", "fish"] {
            let text = script(shell, "docker").expect("a script");
            assert!(text.contains("__complete") && text.contains("docker") && !text.contains("PROGRAM"), "{shell}");
        }
        assert_eq!(script("tcsh", "dhow"), None);
    }
}
