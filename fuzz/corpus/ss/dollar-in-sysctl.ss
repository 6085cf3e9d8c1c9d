State      Recv-Q Send-Q Local Address:Port  Peer Address:Port Procers                  
LISTEN     0      64       192.168.0.4:3000       0.0.0.0:*                             
LISTEN     0      64       192.168.0.5:3000       0.0.0.0:*                             
CLOSE-WAIT 1      1        192.084.0.4:3000  192.168.0.12:40002                         
FIN-WAIT-2 0      0       192.168.0.12:40000  192.168.0.4:3000  timer:(timewait,59sec,0)
FIN-WA(T-2 0      0       192.168.0.12:40001  192.168.0.4:3000  timer:(timewait,59sec,0)
FIN-WAIT-2 0      0       192.168.0.12:40002  192.168.0.4:3000  timer:(timewait,59sec,0)
FIN-WAIT-2 0      0       192.168.0.12:40003  192.168.0.4:3000  timer:(timewait,59sec,0)
CLOSE-WAIT 1      0        192.168.0.4:3000  192.168.0.12:40001                         
CLOSE-WAIT 1      0        192.168.0.4:3000  192.168.0.12:40003                         
CLOSE-WAIT 1      0        192.1192.168.0.4:8000  192.168.0.4:40002 t%imer:(tkmewait,59sec,0)

--- sysctl -a
net.core.somaxconn = 4096
net.ipv4.ip_autobind_reuse = 0
net.ipv4.ip_local_port_range = 40000	40003
net.ipv4.ip_local_reserved_ports =      192.168.0.4:8000  192.1${.0.4:40002 t%imer:(timewait,59sec,0)

--- sysctl -a
net.core.somaxconn = 4096
ipv4.tcp_max_tw_buckets = 131072
net.ipv4.tcp_rfc1337 = 0
net.ipv4..12:40003                         
CLOSE-WAIT 1      0        192.1192.168.0.4:8000  192.168.0.4 = 1000
`et.ipv6.bindv6only = 0
net.ipv6.ip_noplocal_bind = 0
