package main

import (
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/spf13/cobra"

	"signalbox/controller/access"
	"signalbox/controller/api"
	"signalbox/probes/inbound"
	"signalbox/probes/receipts"
)

// webOptions say who may come in, and how.
type webOptions struct {
	config      string // file of exporter-toolkit's web configuration; "" has neither TLS nor users
	tokens      string // file of tokens; "" has none
	connections int    // at once; 0 is the default
}

const connectionsMost = 4096

func addWeb(c *cobra.Command, o *webOptions) {
	f := c.Flags()
	f.StringVar(&o.config, "web.config.file", "", "the web configuration that Prometheus and its exporters take: TLS, basic_auth_users, headers")
	f.StringVar(&o.tokens, "web.tokens-file", "", "a file of tokens and of the roles of users; signalbox token new writes its lines")
	f.IntVar(&o.connections, "web.max-connections", connectionsMost, "connections at once, of one address a quarter of them")
	for _, name := range []string{"web.config.file", "web.tokens-file"} {
		_ = c.MarkFlagFilename(name, "yml", "yaml") // the flag is there
	}
}

// doors are who may come in, and what is written down of it.
type doors struct {
	o      daemonOptions
	keeper *access.Keeper
	audit  *access.Audit
	signed func(*http.Request) bool
}

// openDoors reads who may come in, and refuses to stand in the open by accident.
func openDoors(o daemonOptions, r prometheus.Registerer) (*doors, error) {
	if o.web.connections == 0 {
		o.web.connections = connectionsMost
	}
	if o.web.connections < 1 {
		return nil, wrong("", fmt.Errorf("--web.max-connections: want 1 or more, got %d", o.web.connections))
	}
	keeper, err := access.New(access.Options{WebConfig: o.web.config, Tokens: o.web.tokens, Logger: o.logger, Registerer: r})
	if err != nil {
		return nil, wrong("mend --web.config.file or --web.tokens-file; signalbox token new NAME --role ROLE writes a line", err)
	}
	if err := mayListen(o.listen, o.allowOpen, keeper.Rules()); err != nil {
		return nil, err
	}
	return &doors{o: o, keeper: keeper}, nil
}

// mayListen refuses an address beyond loopback without TLS and authentication, unless somebody said that it may be open.
func mayListen(address string, open bool, rules *access.Rules) error {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return wrong("--web.listen-address takes HOST:PORT, such as 127.0.0.1:9465", fmt.Errorf("--web.listen-address: %w", err))
	}
	ip := net.ParseIP(host)
	if open || host == "localhost" || ip != nil && ip.IsLoopback() {
		return nil
	}
	var missing, how []string
	if !rules.Encrypt() {
		missing = append(missing, "TLS")
		how = append(how, "--web.config.file FILE with tls_server_config")
	}
	if !rules.Authenticate() {
		missing = append(missing, "authentication")
		how = append(how, "--web.tokens-file FILE with lines that signalbox token new NAME --role ROLE writes")
	}
	if len(missing) == 0 {
		return nil
	}
	return wrong("give "+strings.Join(how, ", and ")+"; or listen on loopback; or, where a proxy in front does it, say --web.allow-open",
		fmt.Errorf("--web.listen-address: want TLS and authentication beyond loopback, got %q without %s: whoever reaches it could post events and read routes",
			address, strings.Join(missing, " and ")))
}

// audited begins to write down calls; the file is in the data folder.
func (d *doors) audited(data string, r prometheus.Registerer) {
	d.audit = access.NewAudit(data, d.o.logger, r)
}

// proven says which webhooks prove by themselves where they come from.
func (d *doors) proven(hooks *receipts.Handler, phones *inbound.Handler) {
	of := map[string]func(*url.URL) bool{"receipts": hooks.Signed}
	if phones != nil {
		of["inbound"] = phones.Signed
	}
	d.signed = func(r *http.Request) bool {
		kind, _, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
		signed := of[kind]
		return signed != nil && signed(r.URL)
	}
}

// in adds to what is served who may ask for it.
func (d *doors) in(o *api.Options) {
	o.Audit = d.audit
	if d.keeper.Rules().Authenticate() {
		o.Doors, o.Proven = d.keeper, d.signed
	}
}

func (d *doors) wrap(h http.Handler) http.Handler { return d.keeper.Wrap(h) }

func (d *doors) tls() *tls.Config { return d.keeper.TLS() }

func (d *doors) listen(r prometheus.Registerer) (net.Listener, error) {
	l, err := net.Listen("tcp", d.o.listen)
	if err != nil {
		return nil, wrong("something else may serve there, such as a demo that still runs; --web.listen-address names another address", err)
	}
	return access.Bound(l, d.o.web.connections, r), nil
}

// read reads who may come in again. What it returns brings it into force.
func (d *doors) read() (open func(), err error) {
	next, err := d.keeper.Read()
	if err != nil {
		return nil, err
	}
	return func() {
		d.keeper.Use(next)
		if next.Encrypt() || next.Authenticate() {
			d.o.logger.Info("tokens and web configuration loaded", "file", strings.Trim(d.o.web.tokens+" "+d.o.web.config, " "))
		}
	}, nil
}
