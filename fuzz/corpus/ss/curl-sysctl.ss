State     Recv-Q Send-Q Local Address:Port Peer Address:Port Process                  
LISTEN    0      5        192.168.0.4:8000      0.0.0.0:*                             
TIME-WAIT 0      0        192.168.0.4:8000 192.168.0.12:40000 timer:(timewait,59sec,0)
TIME-WAIT 0      0        192.168.0.4:8000  192.168.0.4:40002 timer:(timewait,59sec,0)

--- sysctl -a
net.core.somaxconn = 4096
net.ipv4.ip_autobind_reuse = 0
net.ipv4.ip_local_port_range = 40000	40003
net.ipv4.ip_local_reserved_ports = 
net.ipv4.ip_nonlocal_bind = 0
net.ipv4.ip_unprivileged_port_start = 1024
net.ipv4.tcp_fin_timeout = 60
net.ipv4.tcp_max_tw_buckets = 131072
net.ipv4.tcp_rfc1337 = 0
net.ipv4.tcp_syn_retries = 6
net.ipv4.tcp_timestamps = 1
net.ipv4.tcp_tw_reuse = 2
net.ipv4.tcp_tw_reuse_delay = 1000
net.ipv6.bindv6only = 0
net.ipv6.ip_nonlocal_bind = 0
