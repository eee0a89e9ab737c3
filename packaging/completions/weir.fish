# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
# Completion for fish. Commands, options and what they take are asked of `weir help`, names of
# `weir status`, which answers those who may ask.

# Lines "services NAME", "partners NAME", "cuts ID".
function __weir_names
    $argv status --json 2>/dev/null | tr '{' '\n' | awk -F '"' '
        kind && ($2 == "name" || $2 == "id") { print kind, $4 }
        match($0, /"[a-z_]+":\[$/) { kind = substr($0, RSTART + 1, RLENGTH - 4) }'
end

# Words for what the help calls $kind.
function __weir_words --argument-names weir kind
    switch $kind
        case FILE
            __fish_complete_path (commandline --current-token)
        case A B
            __fish_complete_path (commandline --current-token)
            __weir_words $weir DIGEST
        case DIR
            __fish_complete_directories (commandline --current-token)
        case IFACE
            printf '%s\n' any (ls /sys/class/net)
        case DIGEST
            $weir policy list 2>/dev/null | string replace --regex '^(\S+)  (.*)' '$1\t$2'
        case ID
            __weir_names $weir | string replace --filter 'cuts ' ''
        case NAME
            __weir_names $weir | string replace --filter 'services ' ''
        case PARTNER
            __weir_names $weir | string replace --filter 'partners ' ''
        case KIND
            printf '%s\n' cut reopen extend pause partner-add base signers beat
        case TARGET
            printf '%s\n' partner: service: class: grant: addr: strangers all
            __weir_names $weir | string replace --filter --regex '^(service|partner)s ' '$1:'
        case '*'
            string match --regex '^[a-z-]+$' -- $kind
    end
end

# Everything that may come next: the value of the option before, or an option, or the argument in turn of
# a usage like "[list] | save | reset [TARGET]".
function __weir_next
    set --local words (commandline --tokenize --current-process --cut-at-cursor)
    set --local weir $words[1]
    if test (count $words) -eq 1 -o "$words[2]" = help
        $weir help 2>/dev/null | string replace --filter --regex '^  ([a-z-]+) +(.*)' '$1\t$2'
        printf '%s\n' help --help --version
        return
    end
    set --local help ($weir help $words[2] 2>/dev/null)
    set --local usage (string replace --regex '^usage: weir [a-z-]+ (.*?) *\[OPTION\]\.\.\.$' '$1' -- $help[1])
    # The help of an option that takes a value has one blank and the value's kind behind its name.
    set --local taking (string replace --filter --regex '^  (--[a-z-]+) ([A-Z/]+) .*' '$1 $2' -- $help)
    set --local given
    set --local value
    for word in $words[3..]
        if test -n "$value"
            set value
        else if string match --quiet -- '-*' $word
            set value (string replace --filter -- "$word " '' $taking)
        else
            set --append given $word
        end
    end
    if test -n "$value"
        __weir_words $weir $value
        return
    end
    string replace --filter --regex '^  (--[a-z-]+)(?: [A-Z/]+)? +(.*)' '$1\t$2' -- $help
    for alternative in (string split '|' -- $usage)
        set --local tokens (string split --no-empty ' ' -- (string replace --all --regex '[][]' '' -- $alternative))
        set --local place (math (count $given) + 1)
        if test $place -eq 1; or string match --quiet -- '*...' $tokens[1]
            __weir_words $weir (string replace ... '' -- $tokens[1])
        else if test "$given[1]" = "$tokens[1]"
            if test $place -le (count $tokens)
                __weir_words $weir (string replace ... '' -- $tokens[$place])
            else if string match --quiet -- '*...' $tokens[-1]
                __weir_words $weir (string replace ... '' -- $tokens[-1])
            end
        end
    end
end

complete --command weir --no-files --arguments '(__weir_next)'
