package main

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"signalbox/rules/route"
)

// lastingFlag is a flag that takes a duration above 0 as policies write them, days included.
type lastingFlag struct {
	name string
	to   *time.Duration
}

// String is the duration, nothing where there is none.
func (f *lastingFlag) String() string {
	if f.to == nil || *f.to == 0 {
		return ""
	}
	return route.Duration(*f.to).String()
}

// Type is what help shows as the value.
func (f *lastingFlag) Type() string { return "DURATION" }

// Set takes a duration.
func (f *lastingFlag) Set(text string) error {
	d, err := route.ParseDuration(text)
	if err != nil || d <= 0 {
		return wrong("", fmt.Errorf("--%s: want a duration above 0 such as 10s or 30d, got %q", f.name, text))
	}
	*f.to = d.D()
	return nil
}

// shareFlag is a flag that takes a share above 0 and below 100 %, as policies write them.
type shareFlag struct {
	name string
	to   *float64
}

// String is the share, nothing where there is none.
func (f *shareFlag) String() string {
	if f.to == nil || *f.to == 0 {
		return ""
	}
	return fmt.Sprintf("%g%%", *f.to*100)
}

// Type is what help shows as the value.
func (f *shareFlag) Type() string { return "SHARE" }

// Set takes a share.
func (f *shareFlag) Set(text string) error {
	number, ok := strings.CutSuffix(text, "%")
	x, err := strconv.ParseFloat(number, 64)
	if !ok || err != nil || !(x > 0 && x < 100) {
		return wrong("", fmt.Errorf("--%s: want a share above 0%% and below 100%% such as 1%%, got %q", f.name, text))
	}
	*f.to = x / 100
	return nil
}
