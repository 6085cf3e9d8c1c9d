State  Recv-Q Send-Q Local Address:Port  Peer Address:PortProcess
UNCONN 0      0         127.0.0.53:53         0.0.0.0:*          
UNCONN 0      0            0.0.0.0:123        0.0.0.0:*          
UNCONN 0      0            0.0.0.0:5353       0.0.0.0:*          
UNCONN 0      0            0.0.0.0:5353       0.0.0.0:*          
ESTAB  0      0          127.0.0.1:40000   127.0.0.53:53         
ESTAB  0      0          127.0.0.1:40001    127.0.0.1:53         
UNCONN 0      0          127.0.0.1:40003      0.0.0.0:*          
UNCONN 0      0               [::]:123           [::]:*          
UNCONN 0      0                  *:5000             *:*          
