#!/bin/bash
# Folders include themselves and common/, nothing sideways; common/ knows no other folder.
# Run by make check (srcdir says where the sources are).
set -u
cd "${srcdir:-.}" || exit 99
folders="common supervisor router worker ctl examples tests"
failed=0

for folder in $folders; do
    allowed="$folder|common"
    [ "$folder" = common ] && allowed=common
    [ "$folder" = tests ] && allowed="${folders// /|}" # unit tests include what they test
    while IFS=: read -r file line text; do
        target=$(sed -n 's/^ *# *include *"\([^"]*\)".*/\1/p' <<<"$text")
        case $target in
        */*) ;;              # ours are always written from the top folder
        config.h) continue ;;
        *) echo "$file:$line: \"$target\" must name its folder"; failed=1; continue ;;
        esac
        if ! grep -Eq "^($allowed)/" <<<"$target"; then
            echo "$file:$line: $folder/ must not include $target"
            failed=1
        fi
    done < <(find "$folder" \( -name '*.c' -o -name '*.h' \) -exec grep -nHE '^ *# *include *"' {} +)
done
exit $failed
