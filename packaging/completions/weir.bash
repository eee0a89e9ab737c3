# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
# Completion for bash. Commands, options and what they take are asked of `weir help`, names of
# `weir status`, which answers those who may ask.

# Lines "services NAME", "partners NAME", "cuts ID".
_weir_names()
{
	"$weir" status --json 2>/dev/null | tr '{' '\n' | awk -F '"' '
		kind && ($2 == "name" || $2 == "id") { print kind, $4 }
		match($0, /"[a-z_]+":\[$/) { kind = substr($0, RSTART + 1, RLENGTH - 4) }'
}

# Words for what the help calls $1.
_weir_words()
{
	case $1 in
	FILE) _filedir ;;
	A | B) _filedir && _weir_words DIGEST ;;
	DIR) _filedir -d ;;
	IFACE) COMPREPLY+=($(compgen -W "any $(ls /sys/class/net)" -- "$cur")) ;;
	DIGEST) COMPREPLY+=($(compgen -W "$("$weir" policy list 2>/dev/null | cut -d ' ' -f 1)" -- "$cur")) ;;
	ID) COMPREPLY+=($(compgen -W "$(_weir_names | sed -n 's/^cuts //p')" -- "$cur")) ;;
	NAME) COMPREPLY+=($(compgen -W "$(_weir_names | sed -n 's/^services //p')" -- "$cur")) ;;
	PARTNER) COMPREPLY+=($(compgen -W "$(_weir_names | sed -n 's/^partners //p')" -- "$cur")) ;;
	KIND) COMPREPLY+=($(compgen -W "cut reopen extend pause partner-add base signers beat" -- "$cur")) ;;
	TARGET)
		COMPREPLY+=($(compgen -W "$(_weir_names | sed -n 's/^\(service\|partner\)s /\1:/p')
			partner: service: class: grant: addr: strangers all" -- "$cur"))
		[[ ${COMPREPLY[*]} != *: ]] || compopt -o nospace
		__ltrim_colon_completions "$cur"
		;;
	*[A-Z]*) ;;
	*) COMPREPLY+=($(compgen -W "$1" -- "$cur")) ;;
	esac
}

# The argument in turn, of a usage like "[list] | save | reset [TARGET]".
_weir_argument()
{
	local given=("$@") alternative alternatives tokens i

	IFS='|' read -ra alternatives <<< "$usage"
	for alternative in "${alternatives[@]}"; do
		read -ra tokens <<< "${alternative//[\[\]]/}"
		if ((${#given[@]} == 0)); then
			_weir_words "${tokens[0]%...}"
		elif [[ ${tokens[0]} == *... ]]; then
			_weir_words "${tokens[0]%...}"
		elif [[ ${given[0]} == "${tokens[0]}" && ${tokens[-1]} == *... ]]; then
			i=$((${#given[@]} < ${#tokens[@]} ? ${#given[@]} : ${#tokens[@]} - 1))
			_weir_words "${tokens[i]%...}"
		elif ((${#given[@]} < ${#tokens[@]})) && [[ ${given[0]} == "${tokens[0]}" ]]; then
			_weir_words "${tokens[${#given[@]}]}"
		fi
	done
}

# What the option $1 takes; nothing for a flag, behind which the help leaves more than one blank.
_weir_value()
{
	sed -n "s|^  $1 \([A-Z/]*\) .*|\1|p" <<< "$help"
}

_weir()
{
	local cur prev words cword
	_init_completion -n =: || return
	local weir=${words[0]} help usage value i given=()

	if ((cword == 1)) || [[ $prev == help ]]; then
		_weir_words "help --help --version $("$weir" help 2>/dev/null | sed -n 's/^  \([a-z-]*\) .*/\1/p')"
		return
	fi
	help=$("$weir" help "${words[1]}" 2>/dev/null) || return
	usage=$(sed -n '1s/^usage: weir [a-z-]* \(.*\) \[OPTION\]\.\.\.$/\1/p' <<< "$help")
	for ((i = 2; i < cword; i++)); do
		if [[ ${words[i]} != -* ]]; then
			given+=("${words[i]}")
		elif [[ $(_weir_value "${words[i]}") ]]; then
			((i++))
		fi
	done
	[[ $prev != -* ]] || value=$(_weir_value "$prev")
	if [[ $value ]]; then
		_weir_words "$value"
	elif [[ $cur == -* ]]; then
		_weir_words "$(sed -n 's/^  \(--[a-z-]*\) .*/\1/p' <<< "$help")"
	else
		_weir_argument "${given[@]}"
	fi
}

complete -F _weir weir
