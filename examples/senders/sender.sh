#!/bin/sh
# A sender's side of signalbox, in one file, with curl, jq, openssl and coreutils. README.md says what it keeps to.
#
#   sender.sh watch                     keeps the table up to date, in the file SIGNALBOX_TABLE
#   sender.sh pick CLASS NETWORK KEY    prints the route of a message, by that file
#   sender.sh report < events.ndjson    reports submits and receipts
#   sender.sh vectors FILE              checks this file against the published vectors
set -u
servers=${SIGNALBOX_SERVERS:-http://127.0.0.1:9465} name=${SIGNALBOX_NAME:-gw-1} table=${SIGNALBOX_TABLE:-table.txt}
keys=${SIGNALBOX_KEYS:-} token=${SIGNALBOX_TOKEN_FILE:-} spool=${SIGNALBOX_SPOOL:-events.spool} wait=${SIGNALBOX_WAIT:-30} backoff=${SIGNALBOX_BACKOFF:-30} most=50000
umask 077
tmp=$(mktemp -d) || exit 2
trap 'rm -rf "$tmp"' EXIT
trap 'exit 130' INT TERM
say() { echo "$*" >&2; }

mcc='
AD 213 AE 424 430 431 AF 412 AG 344 AI 365 AL 276 AM 283 AO 631 AR 722 AS 544 AT 232 AU 505 AW 363 AZ 400 BA 218
BB 342 BD 470 BE 206 BF 613 BG 284 BH 426 BI 642 BJ 616 BM 350 BN 528 BO 736 BR 724 BS 364 BT 402 BW 652 BY 257 BZ 702
CA 302 CD 630 CF 623 CG 629 CH 228 CI 612 CK 548 CL 730 CM 624 CN 460 461 CO 732 CR 712 CU 368 CV 625 CW 362 CY 280
CZ 230 DE 262 DJ 638 DK 238 DM 366 DO 370 DZ 603 EC 740 EE 248 EG 602 ER 657 ES 214 ET 636 FI 244 FJ 542 FK 750 FM 550
FO 288 FR 208 GA 628 GB 234 235 GD 352 GE 282 GF 742 GH 620 GI 266 GL 290 GM 607 GN 611 GP 340 GQ 627 GR 202 GT 704
GU 535 GW 632 GY 738 HK 454 HN 708 HR 219 HT 372 HU 216 ID 510 IE 272 IL 425 IN 404 405 406 IO 995 IQ 418 IR 432 IS 274
IT 222 JM 338 JO 416 JP 440 441 KE 639 KG 437 KH 456 KI 545 KM 654 KN 356 KP 467 KR 450 KW 419 KY 346 KZ 401 LA 457
LB 415 LC 358 LI 295 LK 413 LR 618 LS 651 LT 246 LU 270 LV 247 LY 606 MA 604 MC 212 MD 259 ME 297 MG 646 MH 551 MK 294
ML 610 MM 414 MN 428 MO 455 MP 534 MR 609 MS 354 MT 278 MU 617 MV 472 MW 650 MX 334 MY 502 MZ 643 NA 649 NC 546 NE 614
NG 621 NI 710 NL 204 NO 242 NP 429 NR 536 NU 555 NZ 530 OM 422 PA 714 PE 716 PF 547 PG 537 PH 515 PK 410 PL 260
PM 308 PR 330 PT 268 PW 552 PY 744 QA 427 RE 647 RO 226 RS 220 RU 250 RW 635 SA 420 SB 540 SC 633 SD 634 SE 240 SG 525
SH 658 SI 293 SK 231 SL 619 SM 292 SN 608 SO 637 SR 746 SS 659 ST 626 SV 706 SY 417 SZ 653 TC 376 TD 622 TG 615 TH 520
TJ 436 TK 554 TL 514 TM 438 TN 605 TO 539 TR 286 TT 374 TV 553 TW 466 TZ 640 UA 255 UG 641 US 310 311 312 313 314 315 316
UY 748 UZ 434 VA 225 VC 360 VE 734 VG 348 VN 452 VU 541 WF 543 WS 549 XK 221 YE 421 ZA 655 ZM 645 ZW 648
'

# country NETWORK: of an MCC-MNC, a country itself, nothing where there is none.
country() {
  case $1 in
    [A-Z][A-Z]) echo "$1" ;;
    [0-9][0-9][0-9]-[0-9][0-9] | [0-9][0-9][0-9]-[0-9][0-9][0-9])
      echo "$mcc" | awk -v mcc="${1%%-*}" '{ for (i = 1; i <= NF; i++) { if ($i ~ /[A-Z]/) here = $i; if ($i == mcc) print here } }' ;;
  esac
}

# slot KEY: the first 8 bytes of its SHA-256 modulo 10000; 2^32 modulo 10000 is 7296.
slot() {
  hex=$(printf %s "$1" | sha256sum | cut -c1-16)
  high=${hex%????????} low=${hex#????????}
  echo $(((0x$high * 7296 + 0x$low) % 10000))
}

# choose TABLE CLASS NETWORK KEY: prints the route and what to try after it; fails where no lane serves the message.
choose() {
  jq -ce --arg class "$2" --arg network "$3" --arg country "$(country "$3")" --argjson slot "$(slot "$4")" '
    def ms: [scan("([0-9]+)([a-z]+)") | (.[0] | tonumber) * {d: 86400000, h: 3600000, m: 60000, s: 1000, ms: 1, us: 0.001, ns: 0.000001}[.[1]]] | add // 0 | floor;
    . as $t
    | [($class, "*") as $c | ($network, $country, "*") as $n | select($n != "") | first($t.lanes[] | select(.class == $c and .network == $n))]
    | first // empty
    | . as $l | [foreach .routes[].share as $s (0; . + $s)] | map(. > $slot) | index(true) as $at
    | { generation: $t.generation, class: $l.class, network: $l.network, route: $l.routes[$at].route,
        fallbacks: [($l.routes[$at + 1:] + $l.routes[:$at])[] | select(.admin != "drained" and (.phase == "active" or .admin == "pinned")) | .route],
        retry_after_ms: ($l.retry_after | ms) }' "$1"
}

# read_keys PEM-FILE: one file for each public key, by its keyid.
read_keys() {
  rm -rf "$tmp/keys" && mkdir "$tmp/keys" && awk -v dir="$tmp/keys" '/BEGIN PUBLIC KEY/ { n++ } n { print > (dir "/" n) }' "$1" || return
  for key in "$tmp"/keys/*; do
    id=$(openssl pkey -pubin -in "$key" -outform DER 2> /dev/null | tail -c 32 | sha256sum | cut -c1-16)
    mv "$key" "$tmp/keys/$id.pem"
  done
}

# signed BODY SIGNATURES: whether one of the keys has signed it.
signed() {
  echo "$2" | tr ',' '\n' | while IFS=';=' read -r kind _ id _ sig; do
    case "$kind $id" in " ed25519 "* | "ed25519 "*) ;; *) continue ;; esac
    case $id in *[!0-9a-f]* | '') continue ;; esac
    [ -f "$tmp/keys/$id.pem" ] && printf %s "$sig" | base64 -d > "$tmp/sig" 2> /dev/null || continue
    openssl pkeyutl -verify -pubin -inkey "$tmp/keys/$id.pem" -rawin -in "$1" -sigfile "$tmp/sig" > /dev/null 2>&1 && echo yes && break
  done | grep -q yes
}

# older A B: whether generation A was published before B.
older() {
  [ "${1%-*}" -lt "${2%-*}" ] || { [ "${1%-*}" -eq "${2%-*}" ] && [ "${1#*-}" -lt "${2#*-}" ]; }
}

# check BODY SIGNATURES HAVE: whether the table is taken. It sets got, and why: refused for a reason, or "same".
check() {
  got=$(jq -r '.generation // "" | select(test("^[0-9]+-[0-9]+$"))' "$1" 2> /dev/null) || got=
  why=$(jq -rs 'if length != 1 then error("none") else .[0] end
    | if (.lanes | length) == 0 then "it has no lanes"
      elif any(.lanes[]; ([.routes[].share] | add // 0) != 10000 or any(.routes[]; .share < 0)) then "its shares do not sum to 10000"
      else "" end' "$1" 2> /dev/null) || why='it is no table'
  [ -n "$got" ] || why='it is no table' got=0-0
  [ -z "$why" ] || return 1
  if [ -n "$keys" ] && ! signed "$1" "$2"; then
    why='it is not signed by a key that is known here'
  elif [ "$got" = "$3" ]; then
    why=same
  elif [ -n "$3" ] && older "$got" "$3"; then
    why="it is older than $3, which is in force here"
  fi
  [ -z "$why" ]
}

# keep BODY SIGNATURES: after a crash the file is the old or the new one.
keep() {
  { echo "signalbox-table $(sha256sum < "$1" | cut -c1-64) ${2:--}" && cat "$1"; } > "$table.$$.tmp" && sync "$table.$$.tmp" && mv "$table.$$.tmp" "$table"
}

# kept FILE: unpacks the table that is kept, or says why not.
kept() {
  [ -f "$table" ] || return
  read -r mark digest signatures < "$table" || mark=
  tail -n +2 "$table" > "$1"
  if [ "$mark" != signalbox-table ] || [ "$digest" != "$(sha256sum < "$1" | cut -c1-64)" ]; then
    say "$table is not used: it is damaged"
  elif check "$1" "$signatures" ''; then
    return 0
  else
    say "$table is not used: $why"
  fi
  return 1
}

# call ARGUMENTS: curl with the token, which no other process may see.
call() {
  : > "$tmp/auth"
  if [ -n "$token" ]; then printf 'Authorization: Bearer %s\n' "$(cat "$token")" > "$tmp/auth" || return; fi
  curl -sS -H @"$tmp/auth" -w '%{http_code}' "$@" 2> "$tmp/err"
}

# tell SERVER WORD: which table runs here, at once where that is news, and every minute.
tell() {
  [ "$1 $2" = "$said" ] && [ $(($(date +%s) - said_at)) -lt 60 ] && return
  status=$(call --max-time 5 -o /dev/null -X PUT -H 'Content-Type: application/json' --data-raw "$2" "$1/senders/$name")
  if [ "$status" = 204 ]; then said="$1 $2" said_at=$(date +%s); fi
}

# poll SERVER: asks once. It fails with a word where the table could not be refreshed; news is set where there was one.
poll() {
  news=
  set -- "$1" ''
  [ -z "$have" ] || set -- "$1" "If-None-Match: \"$have\""
  status=$(call --max-time $((wait * 17 / 16 + 10)) -D "$tmp/head" -o "$tmp/body" -H "$2" -H "Prefer: wait=$wait" "$1/routes")
  case $status in
    304) ;;
    200)
      signatures=$(tr -d '\r' < "$tmp/head" | sed -n 's/^[Ss]ignalbox-[Ss]ignature: *//p' | paste -sd, -)
      if check "$tmp/body" "$signatures" "$have"; then
        have=$got news=yes
        keep "$tmp/body" "$signatures" || say "$table cannot be written"
      elif [ "$why" != same ]; then
        tell "$1" "{\"generation\":\"$got\",\"applied\":false,\"why\":\"$why\"}"
        word="refused $got: $why"
        return 1
      fi ;;
    *)
      word="away: HTTP $status $(head -c 200 "$tmp/err")"
      return 1 ;;
  esac
  word="runs $have"
  tell "$1" "{\"generation\":\"$have\",\"applied\":true}"
}

# rest MILLISECONDS: give or take a fifth.
rest() {
  sleep "$(awk -v ms="$1" -v r="$(od -An -N2 -tu2 /dev/urandom)" 'BEGIN { print ms / 1000 * (0.8 + 0.4 * r / 65535) }')"
}

watch() {
  have= said= said_at=0 last= pause=100 turn=
  ! kept "$tmp/kept" || have=$got
  while :; do
    [ -n "$turn" ] || turn=$(printf '%s\n' $servers | shuf)
    set -- $turn
    began=$(date +%s)
    if poll "${1%/}"; then
      next=250 pause=100 # while others read the same news
      if [ -z "$news" ]; then # this one may be cut off from the news itself
        shift
        next=5000
        [ $(($(date +%s) - began)) -lt $((wait / 2)) ] || next=0
      fi
    else
      shift
      next=$pause pause=$((pause * 2 > backoff * 1000 ? backoff * 1000 : pause * 2))
    fi
    turn=$*
    [ "$word" = "$last" ] || say "$word"
    last=$word
    rest $next
  done
}

# report posts what waits and what comes in, in batches; what is not taken stays in the spool for the next time.
report() {
  exec 9> "$spool.lock" && flock 9 || return
  cat >> "$spool" && tail -n "$most" "$spool" > "$tmp/spool" && cat "$tmp/spool" > "$spool" || return
  pause=200
  while [ -s "$spool" ]; do
    head -n 1000 "$spool" > "$tmp/batch"
    server=$(printf '%s\n' $servers | shuf -n 1)
    status=$(call --max-time 10 -o "$tmp/answer" -H 'Content-Type: application/x-ndjson' --data-binary @"$tmp/batch" "${server%/}/events")
    if [ "$status" = 200 ]; then
      jq -r '.refused[] | "event refused: " + .why' "$tmp/answer" >&2
      tail -n +1001 "$spool" > "$tmp/spool" && cat "$tmp/spool" > "$spool" || return
    elif [ $pause -gt 3200 ]; then
      say "events not taken: HTTP $status; $(wc -l < "$spool") wait in $spool"
      return 1
    else
      rest $pause
      pause=$((pause * 2))
    fi
  done
}

vectors() {
  jq -r '.countries | to_entries[] | .key + " " + .value' "$1" | while read -r network want; do
    [ "$(country "$network")" = "$want" ] || echo "$network"
  done > "$tmp/wrong"
  for t in $(jq -r '.tables | keys[]' "$1"); do jq -c --arg t "$t" '.tables[$t]' "$1" > "$tmp/table.$t"; done
  jq -r 'def ms: [scan("([0-9]+)([a-z]+)") | (.[0] | tonumber) * {d: 86400000, h: 3600000, m: 60000, s: 1000, ms: 1}[.[1]]] | add;
    . as $v | .picks[] | ({generation: $v.tables[.table].generation, class: .lane.class, network: .lane.network, route, fallbacks, retry_after_ms: (.retry_after | ms)} | tojson) as $want
    | @sh "t=\(.table) class=\(.class) network=\(.network) key=\(.key) slot=\(.slot) want=\(if .lane then $want else "" end)"' "$1" > "$tmp/picks"
  while IFS= read -r p; do
    eval "$p"
    [ "$(choose "$tmp/table.$t" "$class" "$network" "$key")" = "$want" ] && [ "$(slot "$key")" = "$slot" ] || echo "$t $class/$network $key"
  done < "$tmp/picks" >> "$tmp/wrong"
  n=$(jq '.answers | length' "$1") i=0
  while [ $i -lt "$n" ]; do
    jq -j --argjson i $i '.answers[$i].body' "$1" > "$tmp/body"
    jq -r --argjson i $i '. as $v | .answers[$i].keys[] | $v.keys[.]' "$1" > "$tmp/pem"
    eval "$(jq -r --argjson i $i '.answers[$i] | @sh "label=\(.name) had=\(.have) signatures=\(.signature) want=\(.want)"' "$1")"
    keys=
    if [ -s "$tmp/pem" ]; then keys=$tmp/pem; read_keys "$keys"; fi
    result=taken
    check "$tmp/body" "$signatures" "$had" || { result=refused; [ "$why" != same ] || result=same; }
    [ $result = "$want" ] || echo "$label: got $result, want $want"
    i=$((i + 1))
  done >> "$tmp/wrong"
  echo "$(wc -l < "$tmp/picks") picks, $n answers, $(jq '.countries | length' "$1") networks: $(wc -l < "$tmp/wrong") wrong"
  cat "$tmp/wrong"
  [ ! -s "$tmp/wrong" ]
}

if [ -n "$keys" ]; then read_keys "$keys" || exit 2; fi
case "${1-} $#" in
  'watch 1') watch ;;
  'pick 4')
    if ! kept "$tmp/table"; then say 'no table yet'; exit 1; fi
    choose "$tmp/table" "$2" "$3" "$4" || { say "no lane serves $2/$3"; exit 1; } ;;
  'report 1') report ;;
  'vectors 2') vectors "$2" ;;
  *) say 'want watch, report, pick CLASS NETWORK KEY or vectors FILE; README.md says more'; exit 2 ;;
esac
