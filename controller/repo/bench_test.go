package repo

import "testing"

// BenchmarkLook measures a look at a repository that has nothing new: what each interval costs.
func BenchmarkLook(b *testing.B) {
	o := newOrigin(b)
	f := follow(b, o.url(), b.TempDir(), nil)
	f.loads(o.commit("otp.yml", goodPolicy))
	for b.Loop() {
		if due, err := f.due(b.Context()); due || err != nil {
			b.Fatalf("got %v and %v, want nothing new", due, err)
		}
	}
}

// BenchmarkLoad measures fetching, verifying, parsing and keeping a new signed commit.
func BenchmarkLoad(b *testing.B) {
	o := newOrigin(b)
	key := newSSHKey(b)
	o.signer = sshSigner{key: key, namespace: gitNamespace}
	keys := writeFile(b, "allowed_signers", allowed("", key.PublicKey()))
	f := follow(b, o.url(), b.TempDir(), func(o *Options) { o.Keys = []string{keys} })
	for b.Loop() {
		b.StopTimer()
		commit := o.commit("otp.yml", goodPolicy)
		b.StartTimer()
		f.loads(commit)
	}
}
