package policy
import ("testing";"fmt";"time";"signalbox/rules/route")
func TestScratch(t *testing.T){
 s:=time.Now(); c,err:=newCompiler(); fmt.Println("compiler",time.Since(s),err)
 for _,x:=range []string{"delivry.evidence >= 12","delivery.evidence","delivery.evidence >= ","delivery.evidence = 3","delivery.evidence > 3 and x","delivery.evidence >= \"a\"","delivery.age > 3","delivery.messages == 5","probe[\"bnd\"].ok > 0.5","probe[\"bind\"].failure > 3","probe[\"bind\"]","delivery > 3","within.ratio<0.5","evidence > 3","foo(3) > 1","delivery.messages > 60%","delivery.known && 3","has(route.tags.x) && route.tags.y == 'a'","has(delivery.ratio)","route.tags == 'x'","submit.p95 > duration('3 s')","delivery.evidence >= 12.0 || @","true","1 > 2","(delivery.evidence > 3","delivery.evidence > 3)","delivery.low < delivery.baseline - 0.1 && !open.known && 'a' == lane.class && lane.network in ['GB', 'FR']","[1,2].all(x, x>1)","probe[lane.class].ok>0.3","delivery.since > timestamp('2026-01-01T00:00:00Z')", "delivery.messages * 2 == 10","size(route.tags)>1","lane.class.contains('a')","'x","probe[\"bind\"].failures == 3.0","delivery.ratio ? 1 : 2","-delivery.evidence < 3", "delivery.evidence >= 12.0 &&\n  dlivery.x > 3"} {
  s=time.Now(); cond,f:=c.compile(x); d:=time.Since(s)
  fmt.Println(x,"=>",f,d)
  if cond!=nil { e:=&Env{Signals:&route.Signals{Delivery:route.Delivery{Quality:route.Quality{Known:true},Evidence:14,Messages:5}},Route:&Route{}}
   fmt.Println("   ",cond.Eval(e)); for _,i:=range cond.Inputs(e){fmt.Printf("    %+v\n",i)}; fmt.Println("   ",cond.can,cond.idle)}
 }
}
func BenchmarkEval(b *testing.B){
 c,_:=newCompiler()
 cond,_:=c.compile("delivery.evidence >= 12.0 && delivery.messages >= 5.0")
 e:=&Env{Signals:&route.Signals{Delivery:route.Delivery{Quality:route.Quality{Known:true},Evidence:14,Messages:5}}}
 b.ReportAllocs()
 for b.Loop(){ cond.Eval(e) }
}
