#!/bin/sh
# What is normal on the two routes, for POST /events: a signalbox that has just been started has not seen it yet, and
# judges nothing before it has learned it from 500 messages more than an hour old. cdf is the share of receipts that are
# no older than the ages, in seconds.
now=$(date +%s)
for route in acme-uk bolt-uk; do
  echo "{\"type\":\"baseline\",\"time\":$now,\"route\":\"$route\",\"class\":\"otp\",\"network\":\"234-15\",\"delivered\":0.98,\"failed\":0.02,\"ages\":[0.5,1,1.5,2,3],\"cdf\":[0.2,0.6,0.9,0.99,1],\"messages\":5000}"
done
