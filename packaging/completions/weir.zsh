#compdef weir
# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
# Completion for zsh. Commands, options and what they take are asked of `weir help`, names of
# `weir status`, which answers those who may ask.

# Lines "services NAME", "partners NAME", "cuts ID".
_weir_names()
{
	$weir status --json 2>/dev/null | tr '{' '\n' | awk -F '"' '
		kind && ($2 == "name" || $2 == "id") { print kind, $4 }
		match($0, /"[a-z_]+":\[$/) { kind = substr($0, RSTART + 1, RLENGTH - 4) }'
}

# Words for what the help calls $1.
_weir_words()
{
	case $1 in
	FILE) _files ;;
	A|B) _files; _weir_words DIGEST ;;
	DIR) _files -/ ;;
	IFACE) compadd any $(ls /sys/class/net) ;;
	DIGEST) compadd -- ${(f)"$($weir policy list 2>/dev/null | cut -d ' ' -f 1)"} ;;
	ID) compadd -- ${(f)"$(_weir_names | sed -n 's/^cuts //p')"} ;;
	NAME) compadd -- ${(f)"$(_weir_names | sed -n 's/^services //p')"} ;;
	PARTNER) compadd -- ${(f)"$(_weir_names | sed -n 's/^partners //p')"} ;;
	KIND) compadd cut reopen extend pause partner-add base signers beat ;;
	TARGET)
		compadd -- strangers all ${(f)"$(_weir_names | sed -n 's/^\(service\|partner\)s /\1:/p')"}
		compadd -S '' -- partner: service: class: grant: addr:
		;;
	*[A-Z]*) _message $1 ;;
	*) compadd -- $1 ;;
	esac
}

# The last argument of those given, of a usage like "[list] | save | reset [TARGET]".
_weir_argument()
{
	local alternative
	local -a tokens

	for alternative in ${(s:|:)usage}; do
		tokens=(${=alternative//[\[\]]/})
		if (( $# < 2 )) || [[ $tokens[1] == *... ]]; then
			_weir_words ${tokens[1]%...}
		elif [[ $1 == $tokens[1] ]] && { (( $# <= $#tokens )) || [[ $tokens[-1] == *... ]] }; then
			_weir_words ${tokens[$(( $# < $#tokens ? $# : $#tokens ))]%...}
		fi
	done
}

_weir()
{
	local weir=$words[1] usage text context state state_descr
	local -a commands specs help line
	local -A opt_args

	if (( CURRENT == 2 )) || [[ $words[2] == help ]]; then
		commands=(${(f)"$($weir help 2>/dev/null | sed -n 's/^  \([a-z-]*\)  *\(.*\)/\1:\2/p')"})
		commands+=('help:Tell the commands, or the options of one' --help --version)
		_describe command commands
		return
	fi
	help=(${(f)"$($weir help $words[2] 2>/dev/null)"}) || return
	usage=${${help[1]#usage: weir $words[2] }%\[OPTION\]...}
	# The help of an option that takes a value has one blank and the value's kind behind its name.
	for text in ${(M)help:#  --*}; do
		text=${text//(#m)[\[\]:]/\\$MATCH}
		if [[ $text =~ '^  (--[a-z-]+) ([A-Z/]+) +(.*)' ]]; then
			specs+=("*$match[1][$match[3]]:$match[2]: _weir_words $match[2]")
		elif [[ $text =~ '^  (--[a-z-]+) +(.*)' ]]; then
			specs+=("$match[1][$match[2]]")
		fi
	done
	shift words
	(( CURRENT-- ))
	_arguments -C : $specs '*:argument:->argument' && return
	[[ $state != argument ]] || _weir_argument "${line[@]}"
}

_weir "$@"
